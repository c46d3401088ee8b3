"""The server's options, under the names of `tensorflow_model_server`."""

from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = {
    "enable_per_model_batching_parameters": "one batching file serves all models",
    "enable_profiler": "there is no profiler service",
    "enable_signature_method_name_check": "method names are always checked",
    "flush_filesystem_caches": "the page cache is left to the system",
    "force_allow_any_version_labels_for_unavailable_models": "labels name versions that are loaded",
    "grpc_socket_path": "gRPC listens on TCP only",
    "num_load_threads": "versions are loaded one after another, beside the requests",
    "num_request_iterations_for_warmup": "every recorded request is replayed once",
    "num_tflite_interpreters_per_pool": "there is no TF Lite",
    "num_tflite_pools": "there is no TF Lite",
    "num_unload_threads": "versions are unloaded beside the requests",
    "per_process_gpu_memory_fraction": "TensorFlow takes GPU memory as it needs it",
    "platform_config_file": "SavedModels are the only platform",
    "prefer_tflite_model": "there is no TF Lite",
    "remove_unused_fields_from_bundle_metagraph": "the graph is kept as it is",
    "rest_api_enable_cors_support": "CORS belongs to a proxy in front",
    "rest_api_num_threads": "REST and gRPC share the threads of `--grpc_max_threads`",
    "saved_model_tags": "the tag is `serve`",
    "tensorflow_session_config_file": "sessions have TensorFlow's defaults",
    "thread_pool_factory_config_file": "thread pools are TensorFlow's own",
    "use_alts_credentials": "use `--ssl_config_file`",
    "xla_cpu_compilation_enabled": "XLA is left as the model has it",
}
"""Flags of the original that are refused by name, each with what holds instead."""


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
    ssl_config_file: Path | None = None
    rest_api_timeout_in_ms: int = 30_000
    grpc_max_threads: int = 0
    """Threads that run requests; 0: four per processor."""
    grpc_channel_arguments: str = ""
    tensorflow_session_parallelism: int = 0
    """Of the two below, unless they are given."""
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
        if self.rest_api_timeout_in_ms <= 0:
            raise ValueError(f"`--rest_api_timeout_in_ms` must be positive. Received: {self.rest_api_timeout_in_ms}")
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
