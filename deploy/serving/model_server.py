"""Running servers, as far as their config and their versions go. Without TensorFlow."""

import contextlib
import socket
import time
from collections.abc import Iterable
from typing import Any

import grpc

from deploy.serving.client_calls import CHANNEL_OPTIONS, METADATA, STATUS
from deploy.serving.client_errors import InvalidRequestError, NoSuchModelError, PreconditionError, error_of
from deploy.serving.client_protos import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ReloadConfigRequest,
    ReloadConfigResponse,
    StatusProto,
)
from deploy.serving.model_config_file import RolloutError

RELOAD = ("/tensorflow.serving.ModelService/HandleReloadConfigRequest", ReloadConfigResponse)
AVAILABLE = 30

_POLL_SECONDS = 0.1
_LOOKS_AT_ERROR = 10
"""How often a version must be seen failed: one that is loaded anew shows for a moment how its last life ended."""


class LoadError(RolloutError):
    """A server could not load a version; what served before serves on."""


class Server:
    """One running server, as far as its config and its versions go."""

    def __init__(self, target: str, model_name: str, channel: grpc.Channel, timeout_seconds: float) -> None:
        self.target, self.channel = target, channel
        self._model_name, self._timeout_seconds = model_name, timeout_seconds
        self._status, self._reload, self._metadata = (
            channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            for path, response in (STATUS, RELOAD, METADATA)
        )

    def reload(self, config: Any) -> None:
        """Sends a config.

        Raises:
            PredictionError: it was refused, or the server was not reached.
        """
        self._ask(self._reload, ReloadConfigRequest(config=config))

    def states(self) -> dict[int, Any]:
        """ModelVersionStatus by version.

        Raises:
            PredictionError: the server was not reached, or knows nothing of the model.
        """
        request = GetModelStatusRequest()
        request.model_spec.name = self._model_name
        return {entry.version: entry for entry in self._ask(self._status, request).model_version_status}

    def labels(self, names: Iterable[str]) -> dict[str, int]:
        """Versions behind labels, of those that the server can answer by.

        Raises:
            PredictionError: the server was not reached.
        """
        found = {}
        for name in names:
            request = GetModelMetadataRequest(metadata_field=["signature_def"])
            request.model_spec.name, request.model_spec.version_label = self._model_name, name
            with contextlib.suppress(InvalidRequestError, NoSuchModelError, PreconditionError):
                found[name] = self._ask(self._metadata, request).model_spec.version.value
        return found

    def wait_until_available(self, versions: Iterable[int], seconds: float) -> None:
        """Waits until versions take traffic.

        Raises:
            LoadError: one of them failed, or was not there in time.
            PredictionError: the server was not reached.
        """
        deadline = time.monotonic() + seconds
        looks: dict[int, int] = {}
        while True:
            states = self.states()
            missing = [each for each in sorted(versions) if each not in states or states[each].state != AVAILABLE]
            if not missing:
                return
            for version in missing:
                status = states[version].status if version in states else StatusProto()
                looks[version] = looks.get(version, 0) + 1 if status.error_code else 0
                if looks[version] >= _LOOKS_AT_ERROR or time.monotonic() > deadline:
                    why = status.error_message or f"not AVAILABLE within {seconds:g} s"
                    raise LoadError(f"Version {version} was not loaded by {self.target}: {why}")
            time.sleep(_POLL_SECONDS)

    def _ask(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            raise error_of(error) from error


def addresses_of(target: str) -> list[str]:
    """All servers behind `host:port`: a name may stand for several, as that of a headless Kubernetes service does."""
    host, _, port = target.rpartition(":")
    try:
        found = {each[4][0] for each in socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)}
    except OSError:
        found = set()
    return [f"{address}:{port}" for address in sorted(found)] if len(found) > 1 else [target]


def connect(
    targets: Iterable[str], model_name: str, credentials: grpc.ChannelCredentials | None, timeout_seconds: float
) -> tuple[Server, ...]:
    """Opens a channel to every server.

    Args:
        targets: `host:port`; a host with several addresses means all of them.
        model_name: as clients ask for it.
        credentials: for TLS; None: without.
        timeout_seconds: of one call.
    """
    servers = []
    for target in targets:
        # Behind one name stands one certificate.
        options = [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", target.rpartition(":")[0])]
        for address in addresses_of(target):
            if credentials is None:
                channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
            else:
                channel = grpc.secure_channel(address, credentials, options)
            servers.append(Server(address, model_name, channel, timeout_seconds))
    return tuple(servers)
