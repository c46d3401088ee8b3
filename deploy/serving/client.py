"""A client for servers that speak TF Serving's gRPC: ours, or the original.

    with PredictionClient("localhost:8500", "reviews") as client:
        for prediction in client.predict(["I love this dress.", "It fell apart."]):
            print(prediction.label, prediction.probability)

No TensorFlow: numpy, protobuf and grpc are all it needs. `AsyncPredictionClient` is the same for asyncio.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from deploy.serving.client_async import AsyncPredictionClient
from deploy.serving.client_calls import (
    CHANNEL_OPTIONS,
    METADATA,
    PREDICT,
    STATUS,
    Calls,
    batched,
    states_of,
    tls_credentials,
)
from deploy.serving.client_errors import PredictionError, error_of
from deploy.serving.rows import Prediction, Row, read_embeddings, read_predictions
from deploy.serving.tensors import Array


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
            credentials: For TLS, from `tls_credentials`; default: none.

        Raises:
            ValueError: Arguments that exclude each other or make no sense.
        """
        self._calls = Calls(model_name, version, label, timeout_seconds, retries, batch_size)
        if credentials is None:
            self._channel = grpc.insecure_channel(target, CHANNEL_OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, CHANNEL_OPTIONS)
        self._predict, self._metadata, self._status = (
            self._channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            for path, response in (PREDICT, METADATA, STATUS)
        )

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

    def embed(self, rows: Sequence[Row]) -> Array:
        """Places rows where those of one class are near each other, for a search of nearest neighbours.

        Args:
            rows: As for `predict`.

        Returns:
            float32 `(rows, embedding_dim)` of length 1; a product of two is their cosine.

        Raises:
            PredictionError: As for `predict`, or the model has no signature `embed`: no head of its config learnt
                `similarity`.
            ValueError: As for `predict`.
        """
        return read_embeddings(self._responses("embed", rows))

    def predict_many(self, rows: Iterable[Row], *, in_flight: int = 4, explain: bool = False) -> Iterator[Prediction]:
        """Predicts any number of rows, in their order, with several calls under way at a time.

        Args:
            rows: As for `predict`; read only as far as the calls under way need them.
            in_flight: Calls under way.
            explain: Whether to say to which words the model attended.

        Raises:
            PredictionError: As for `predict`, at the first call that fails.
            ValueError: As for `predict`.
        """
        if in_flight < 1:
            raise ValueError(f"`in_flight` must be positive. Received: {in_flight}")
        ask = self.explain if explain else self.predict
        running: deque[Future[list[Prediction]]] = deque()
        with ThreadPoolExecutor(in_flight, thread_name_prefix="predict") as pool:
            try:
                for batch in batched(rows, self._calls.batch_size):
                    running.append(pool.submit(ask, batch))
                    if len(running) == in_flight:
                        yield from running.popleft().result()
                while running:
                    yield from running.popleft().result()
            finally:
                for call in running:
                    call.cancel()

    def inputs(self) -> dict[str, str]:
        """What the model reads: type name (`string`, `float`, …) by input.

        Raises:
            PredictionError: The server does not know the model, or did not answer.
        """
        self._learn("serving_default")
        return {name: kind.name for name, kind in self._calls.inputs["serving_default"].types.items()}

    def versions(self) -> dict[int, str]:
        """State of every version that the server knows: START, LOADING, AVAILABLE, UNLOADING or END.

        Raises:
            PredictionError: The server does not know the model, or did not answer.
        """
        return states_of(self._call(self._status, self._calls.status_request()))

    def _run(self, signature_name: str, rows: Sequence[Row]) -> list[Prediction]:
        return [each for response in self._responses(signature_name, rows) for each in read_predictions(response)]

    def _responses(self, signature_name: str, rows: Sequence[Row]) -> Iterator[Any]:
        for batch in self._calls.batches(rows):
            self._learn(signature_name)
            yield self._call(self._predict, self._calls.predict_request(signature_name, batch))

    def _learn(self, signature_name: str) -> None:
        """Asks once what a signature reads."""
        if signature_name not in self._calls.inputs:
            self._calls.learn(signature_name, self._call(self._metadata, self._calls.metadata_request()))

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        attempts = self._calls.attempts()
        while True:
            try:
                return method(request, timeout=attempts.seconds_left)
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise error_of(error) from error
                time.sleep(pause)


__all__ = ["AsyncPredictionClient", "Prediction", "PredictionClient", "PredictionError", "Row", "tls_credentials"]
