"""The text file of `--monitoring_config_file`: MonitoringConfig of the original, which its API package leaves out."""

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from deploy.serving.status import InvalidArgumentError

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def metrics_path(file: Path | None) -> str | None:
    """Where the monitoring page stands.

    Args:
        file: Of `prometheus_config { enable: true path: "/…" }`; the text format does not look at package names.

    Returns:
        The path, or None if the page is off, as it is without a file.

    Raises:
        InvalidArgumentError: The file cannot be read.
    """
    if file is None:
        return None
    try:
        config = text_format.Parse(file.read_text(encoding="utf-8"), _message_class()())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InvalidArgumentError(f"Invalid protobuf file: '{file}': {error}") from error
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None


def _message_class() -> type:
    """MonitoringConfig, described in a pool of its own."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="monitoring_config.proto", package="attention", syntax="proto3")
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=field.TYPE_BOOL, label=field.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    monitoring = file.message_type.add(name="MonitoringConfig")
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".attention.PrometheusConfig",
        label=field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("attention.MonitoringConfig"))
