"""What the clients share: which model is asked, what goes onto the wire, when a call is repeated."""

import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from deploy.serving import client_protos
from deploy.serving.client_errors import PreconditionError
from deploy.serving.rows import Inputs, Row

PREDICT = ("/tensorflow.serving.PredictionService/Predict", client_protos.PredictResponse)
METADATA = ("/tensorflow.serving.PredictionService/GetModelMetadata", client_protos.GetModelMetadataResponse)
STATUS = ("/tensorflow.serving.ModelService/GetModelStatus", client_protos.GetModelStatusResponse)

_UNLIMITED = 2**31 - 1
CHANNEL_OPTIONS = [("grpc.max_send_message_length", _UNLIMITED), ("grpc.max_receive_message_length", _UNLIMITED)]

_FIRST_BACKOFF_SECONDS = 0.05
_LARGEST_BACKOFF_SECONDS = 1.0
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class Calls:
    """Requests to one model, and what their responses say."""

    def __init__(
        self,
        model_name: str,
        version: int | None,
        label: str | None,
        timeout_seconds: float,
        retries: int,
        batch_size: int,
    ) -> None:
        """Checks the arguments of a client.

        Raises:
            ValueError: Arguments that exclude each other or make no sense.
        """
        if version is not None and label is not None:
            raise ValueError(f"`version` and `label` exclude each other. Received: {version} and {label!r}")
        if timeout_seconds <= 0:
            raise ValueError(f"`timeout_seconds` must be positive. Received: {timeout_seconds}")
        if retries < 0:
            raise ValueError(f"`retries` must not be negative. Received: {retries}")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be positive. Received: {batch_size}")
        self._model_name, self._version, self._label = model_name, version, label
        self._timeout_seconds, self._retries = timeout_seconds, retries
        self.batch_size = batch_size
        self.inputs: dict[str, Inputs] = {}
        """By signature, as far as they were asked for."""

    def attempts(self) -> "Attempts":
        """The times of one call."""
        return Attempts(self._timeout_seconds, self._retries)

    def metadata_request(self) -> Any:
        """GetModelMetadataRequest for the signatures."""
        request = client_protos.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill_spec(request.model_spec)
        return request

    def learn(self, signature_name: str, response: Any) -> Inputs:
        """Keeps what a signature reads.

        Args:
            signature_name: Of the model.
            response: GetModelMetadataResponse.

        Raises:
            PreconditionError: The model has no such signature.
        """
        signatures = client_protos.SignatureDefMap.FromString(response.metadata["signature_def"].value)
        if signature_name not in signatures.signature_def:
            raise PreconditionError("FAILED_PRECONDITION", f'Serving signature key "{signature_name}" not found.')
        self.inputs[signature_name] = Inputs.of(signatures.signature_def[signature_name])
        return self.inputs[signature_name]

    def predict_request(self, signature_name: str, rows: Sequence[Row]) -> Any:
        """PredictRequest; the inputs of the signature are known.

        Raises:
            ValueError: The rows do not fit them.
        """
        request = client_protos.PredictRequest()
        self._fill_spec(request.model_spec)
        request.model_spec.signature_name = signature_name
        self.inputs[signature_name].fill(rows, request)
        return request

    def status_request(self) -> Any:
        """GetModelStatusRequest."""
        request = client_protos.GetModelStatusRequest()
        self._fill_spec(request.model_spec)
        return request

    def batches(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """Rows call by call.

        Raises:
            ValueError: Not rows, but one text.
        """
        if isinstance(rows, str | bytes):
            raise ValueError(f"`rows` must be a list of rows. Received: {rows!r}")
        return (rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size))

    def _fill_spec(self, spec: Any) -> None:
        spec.name = self._model_name
        if self._version is not None:
            spec.version.value = self._version
        if self._label is not None:
            spec.version_label = self._label


class Attempts:
    """When a call may be repeated: while the server cannot be reached, later and later, with jitter."""

    def __init__(self, timeout_seconds: float, retries: int) -> None:
        self._deadline = time.monotonic() + timeout_seconds
        self._left = retries
        self._backoff = _FIRST_BACKOFF_SECONDS

    @property
    def seconds_left(self) -> float:
        """Until the deadline of the call with all its repetitions."""
        return max(self._deadline - time.monotonic(), 0.001)

    def pause_after(self, error: grpc.RpcError) -> float | None:
        """Seconds to wait before the next attempt; None: there is none."""
        pause = self._backoff * random.uniform(0.5, 1.0)
        unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
        if not unavailable or not self._left or time.monotonic() + pause >= self._deadline:
            return None
        self._left -= 1
        self._backoff = min(self._backoff * 2, _LARGEST_BACKOFF_SECONDS)
        return pause


def batched(rows: Iterable[Row], size: int) -> Iterator[tuple[Row, ...]]:
    """Rows in tuples of `size`, the last one shorter; reads no further than it must."""
    iterator = iter(rows)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch


def states_of(response: Any) -> dict[int, str]:
    """State name by version, of a GetModelStatusResponse."""
    return {entry.version: _STATES.get(entry.state, "UNKNOWN") for entry in response.model_version_status}


def tls_credentials(
    ca_file: Path | str | None = None, certificate_file: Path | str | None = None, key_file: Path | str | None = None
) -> grpc.ChannelCredentials:
    """Credentials for a server that speaks TLS.

    Args:
        ca_file: PEM of the authority that signed the server; default: those that the system trusts.
        certificate_file: PEM of the client's own certificate, if the server asks for one.
        key_file: PEM of its key.

    Raises:
        ValueError: A certificate without a key, or a key without one.
        OSError: A file cannot be read.
    """
    if (certificate_file is None) != (key_file is None):
        raise ValueError("`certificate_file` and `key_file` go together.")
    ca, key, certificate = (
        None if file is None else Path(file).read_bytes() for file in (ca_file, key_file, certificate_file)
    )
    return grpc.ssl_channel_credentials(ca, key, certificate)
