"""The text file of `--monitoring_config_file`."""

from pathlib import Path

from deploy.serving.text_config import read_text_config

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def metrics_path(file: Path | None) -> str | None:
    """Where the monitoring page stands.

    Args:
        file: Of `prometheus_config { enable: true path: "/…" }`.

    Returns:
        The path, or None if the page is off, as it is without a file.

    Raises:
        InvalidArgumentError: The file cannot be read.
    """
    if file is None:
        return None
    prometheus = read_text_config(file, "MonitoringConfig").prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None
