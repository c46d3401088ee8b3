"""The text file of `--ssl_config_file`: TLS for gRPC, and certificates of clients if they are asked for."""

from pathlib import Path

import grpc

from deploy.serving.status import InvalidArgumentError
from deploy.serving.text_config import read_text_config


def server_credentials(file: Path | None) -> grpc.ServerCredentials | None:
    """What the gRPC port is secured with.

    Args:
        file: Of `server_key`, `server_cert`, `custom_ca` (PEM texts) and `client_verify`.

    Returns:
        The credentials, or None without a file: the port is insecure then.

    Raises:
        InvalidArgumentError: The file cannot be read, or lacks what it needs.
    """
    if file is None:
        return None
    config = read_text_config(file, "SSLConfig")
    for name in ("server_key", "server_cert"):
        if "-----BEGIN " not in getattr(config, name):
            raise InvalidArgumentError(f"`{name}` of '{file}' must be the text of a PEM file, not its path.")
    if config.client_verify and not config.custom_ca:
        raise InvalidArgumentError(f"`client_verify` of '{file}' needs the `custom_ca` that signed the clients.")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
