"""The server's options, under the names of `tensorflow_model_server`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerOptions:
    """Everything that a server is started with; defaults are those of the original unless a comment says why not."""

    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0.0
    port: int = 8500
    rest_api_port: int | None = None
    """None: no REST. 0 means "any free port" here, for both ports; the original's 0 means "none"."""
    bind_address: str = "0.0.0.0"
    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    allow_version_labels_for_unavailable_models: bool = False
    enable_model_warmup: bool = True
    enable_batching: bool = False
    batching_parameters_file: Path | None = None
    monitoring_config_file: Path | None = None
    grpc_max_threads: int = 0
    """Threads that run requests; 0: four per processor."""
    grpc_channel_arguments: str = ""
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    drain_seconds: float = 30.0
    """How long a stopping server waits for the answers under way; the original has no such flag."""

    def __post_init__(self) -> None:
        if self.model_config_file is None and not self.model_base_path:
            raise ValueError("One of `--model_base_path` and `--model_config_file` is needed.")
        if self.model_config_file is not None and self.model_base_path:
            raise ValueError("`--model_base_path` and `--model_config_file` exclude each other.")
        if self.batching_parameters_file is not None and not self.enable_batching:
            raise ValueError("`--batching_parameters_file` needs `--enable_batching`.")
        for name in ("port", "rest_api_port"):
            number = getattr(self, name)
            if number is not None and not 0 <= number <= 65535:
                raise ValueError(f"`--{name}` must be between 0 and 65535. Received: {number}")
        if self.max_num_load_retries < 0:
            raise ValueError(f"`--max_num_load_retries` must not be negative. Received: {self.max_num_load_retries}")

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """`--grpc_channel_arguments` as pairs: `a=1,b=text`, whole numbers as numbers.

        Raises:
            ValueError: An entry has no value.
        """
        pairs: list[tuple[str, int | str]] = []
        for entry in filter(None, self.grpc_channel_arguments.split(",")):
            name, equals, value = entry.partition("=")
            if not equals:
                raise ValueError(f"`--grpc_channel_arguments` wants name=value. Received: {entry}")
            pairs.append((name, int(value) if value.lstrip("-").isdigit() else value))
        return pairs
