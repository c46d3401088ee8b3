"""A client for servers that speak TF Serving's gRPC: ours, or the original.

    with PredictionClient("localhost:8500", "reviews") as client:
        for prediction in client.predict(["I love this dress.", "It fell apart."]):
            print(prediction.label, prediction.probability)

No TensorFlow: numpy, protobuf and grpc are all it needs.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from deploy.serving import client_protos
from deploy.serving.client_errors import PreconditionError, PredictionError, error_of
from deploy.serving.rows import Inputs, Prediction, Row, read_predictions

_PREDICTION_SERVICE = "/tensorflow.serving.PredictionService/"
_MODEL_SERVICE = "/tensorflow.serving.ModelService/"
_UNLIMITED = 2**31 - 1
_FIRST_BACKOFF_SECONDS = 0.05
_LARGEST_BACKOFF_SECONDS = 1.0

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class PredictionClient:
    """Asks one model; threads may share it, and it keeps one channel."""

    def __init__(
        self,
        target: str,
        model_name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float = 10.0,
        retries: int = 3,
        batch_size: int = 64,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Connects when first used.

        Args:
            target: `host:port` of the gRPC server.
            model_name: As the server knows it.
            version: Ask this version; default: the newest.
            label: Ask the version that this label names, such as `stable`.
            timeout_seconds: Deadline of one call with all its retries.
            retries: How often a call is repeated while the server is UNAVAILABLE; nothing else is repeated.
            batch_size: Rows sent in one call; more rows make more calls.
            credentials: For TLS, from `grpc.ssl_channel_credentials`; default: none.

        Raises:
            ValueError: Arguments that exclude each other or make no sense.
        """
        if version is not None and label is not None:
            raise ValueError(f"`version` and `label` exclude each other. Received: {version} and {label!r}")
        if timeout_seconds <= 0:
            raise ValueError(f"`timeout_seconds` must be positive. Received: {timeout_seconds}")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be positive. Received: {batch_size}")
        self._model_name, self._version, self._label = model_name, version, label
        self._timeout_seconds, self._retries, self._batch_size = timeout_seconds, retries, batch_size
        options = [
            ("grpc.max_send_message_length", _UNLIMITED),
            ("grpc.max_receive_message_length", _UNLIMITED),
        ]
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, credentials, options)
        self._predict = self._method(_PREDICTION_SERVICE + "Predict", client_protos.PredictResponse)
        self._metadata = self._method(_PREDICTION_SERVICE + "GetModelMetadata", client_protos.GetModelMetadataResponse)
        self._status = self._method(_MODEL_SERVICE + "GetModelStatus", client_protos.GetModelStatusResponse)
        self._inputs: dict[str, Inputs] = {}

    def __enter__(self) -> "PredictionClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predicts rows, in their order.

        Args:
            rows: Dicts with a value per input of the model (missing ones may be left out), or plain strings if the
                model reads one text.

        Raises:
            PredictionError: The server did not answer; one class per status.
            ValueError: The rows are not what the model reads.
        """
        return self._run("serving_default", rows)

    def explain(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predicts rows and says to which words the model attended.

        Args:
            rows: As for `predict`.

        Raises:
            PredictionError: As for `predict`.
            ValueError: As for `predict`.
        """
        return self._run("explain", rows)

    def inputs(self) -> dict[str, str]:
        """What the model reads: type name (`string`, `float`, …) by input.

        Raises:
            PredictionError: The server does not know the model, or did not answer.
        """
        return {name: kind.name for name, kind in self._inputs_of("serving_default").types.items()}

    def versions(self) -> dict[int, str]:
        """State of every version that the server knows: START, LOADING, AVAILABLE, UNLOADING or END.

        Raises:
            PredictionError: The server does not know the model, or did not answer.
        """
        request = client_protos.GetModelStatusRequest()
        self._fill_spec(request.model_spec)
        response = self._call(self._status, request)
        return {entry.version: STATES.get(entry.state, "UNKNOWN") for entry in response.model_version_status}

    def _run(self, signature_name: str, rows: Sequence[Row]) -> list[Prediction]:
        if isinstance(rows, str | bytes):
            raise ValueError(f"`rows` must be a list of rows. Received: {rows!r}")
        if not rows:
            return []
        inputs = self._inputs_of(signature_name)
        predictions: list[Prediction] = []
        for start in range(0, len(rows), self._batch_size):
            request = client_protos.PredictRequest()
            self._fill_spec(request.model_spec)
            request.model_spec.signature_name = signature_name
            inputs.fill(rows[start : start + self._batch_size], request)
            predictions += read_predictions(self._call(self._predict, request))
        return predictions

    def _inputs_of(self, signature_name: str) -> Inputs:
        """What a signature reads; asked of the server once."""
        if signature_name not in self._inputs:
            request = client_protos.GetModelMetadataRequest(metadata_field=["signature_def"])
            self._fill_spec(request.model_spec)
            response = self._call(self._metadata, request)
            signatures = client_protos.SignatureDefMap.FromString(response.metadata["signature_def"].value)
            if signature_name not in signatures.signature_def:
                raise PreconditionError("FAILED_PRECONDITION", f'Serving signature key "{signature_name}" not found.')
            self._inputs[signature_name] = Inputs.of(signatures.signature_def[signature_name])
        return self._inputs[signature_name]

    def _fill_spec(self, spec: Any) -> None:
        spec.name = self._model_name
        if self._version is not None:
            spec.version.value = self._version
        if self._label is not None:
            spec.version_label = self._label

    def _method(self, path: str, response: Any) -> Callable[..., Any]:
        return self._channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """Calls within the deadline; repeats while the server cannot be reached, later and later, with jitter."""
        deadline = time.monotonic() + self._timeout_seconds
        backoff = _FIRST_BACKOFF_SECONDS
        for attempt in range(self._retries + 1):
            try:
                return method(request, timeout=max(deadline - time.monotonic(), 0.001))
            except grpc.RpcError as error:
                pause = backoff * random.uniform(0.5, 1.0)
                unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
                if not unavailable or attempt == self._retries or time.monotonic() + pause >= deadline:
                    raise error_of(error) from error
                time.sleep(pause)
                backoff = min(backoff * 2, _LARGEST_BACKOFF_SECONDS)
        raise AssertionError("unreachable")


__all__ = ["Prediction", "PredictionClient", "PredictionError", "Row"]
