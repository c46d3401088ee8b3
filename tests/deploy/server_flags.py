"""Reads a server's command line from a manifest as the server itself would."""

from pathlib import Path

from deploy.serving.batching_config import batching_parameters
from deploy.serving.commands import serve
from deploy.serving.flags import ServerOptions
from deploy.serving.model_config import check_transition, read_model_config
from deploy.serving.monitoring_config import metrics_path


def parse(arguments: list[str], mounts: dict[str, Path]) -> ServerOptions:
    """Options of a server.

    Args:
        arguments: of `tensorflow_model_server`; every flag of theirs must be one that our server takes.
        mounts: directory in the container → what is mounted there.

    Raises:
        click.UsageError: A flag is unknown, or a file of it is not there.
    """
    known = []
    for argument in arguments:
        flag, _, value = argument.partition("=")
        for inside, outside in mounts.items():
            value = value.replace(inside, str(outside), 1) if value.startswith(f"{inside}/") else value
        known.append(f"{flag}={value}")
    context = serve.make_context("serve", known)
    return ServerOptions(**context.params)


def check_files(options: ServerOptions) -> dict[str, str]:
    """Reads every file that the options name by the server's own parsers.

    Returns:
        Base path by model.
    """
    config = read_model_config(options.model_config_file)
    check_transition(None, config)
    batching = batching_parameters(options.enable_batching, options.batching_parameters_file)
    assert batching is not None
    assert batching.pad_variable_length_inputs  # texts differ in length
    assert metrics_path(options.monitoring_config_file) == "/monitoring/prometheus/metrics"
    return {model.name: model.base_path for model in config.model_config_list.config}
