"""The commands `serve` and `predict`; neither imports TensorFlow before it has to."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.serving.flags import LEFT_OUT, ServerOptions

if TYPE_CHECKING:
    from deploy.serving.client import PredictionClient

_OF_LAYERS = {"rollout", "layer_tokens", "layer_attention"}
"""Parts of a prediction that only some models give."""

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        for name, package in (("TensorFlow ModelServer", "attention-pipeline"), ("TensorFlow Library", "tensorflow")):
            click.echo(f"{name}: {version(package)}")
        context.exit()


def _refuse(_: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(f"`--{parameter.name}` is left out here: {LEFT_OUT[str(parameter.name)]}.")


_FLAGS = (
    click.option("--model_name", default="default", show_default=True, help="Name that clients ask for."),
    click.option("--model_base_path", default="", help="Directory that holds the version directories."),
    click.option("--model_config_file", type=_FILE, help="Several models, in protobuf text format."),
    click.option("--model_config_file_poll_wait_seconds", type=float, default=0.0, help="0: read it once."),
    click.option("--port", type=int, default=8500, show_default=True, help="gRPC; 0: any free one."),
    click.option("--rest_api_port", type=int, help="REST; 0: any free one; default: no REST."),
    click.option("--bind_address", default="0.0.0.0", show_default=True, help="Address to listen on."),
    click.option("--file_system_poll_wait_seconds", type=float, default=1.0, show_default=True, help="0: look once."),
    click.option("--max_num_load_retries", type=int, default=5, show_default=True),
    click.option("--load_retry_interval_micros", type=int, default=60_000_000, show_default=True),
    click.option("--allow_version_labels_for_unavailable_models", type=bool, default=False, show_default=True),
    click.option("--enable_model_warmup", type=bool, default=True, show_default=True),
    click.option("--enable_batching", type=bool, default=False, is_flag=False, flag_value=True, show_default=True),
    click.option("--batching_parameters_file", type=_FILE, help="How requests share runs, in protobuf text format."),
    click.option("--monitoring_config_file", type=_FILE, help="`prometheus_config { enable: true }`"),
    click.option("--ssl_config_file", type=_FILE, help="TLS for gRPC: PEM texts, in protobuf text format."),
    click.option("--rest_api_timeout_in_ms", type=int, default=30_000, show_default=True),
    click.option("--grpc_max_threads", type=int, default=0, help="Requests run beside each other; 0: 4 per processor."),
    click.option("--grpc_channel_arguments", default="", help="name=value,name=value"),
    click.option("--tensorflow_session_parallelism", type=int, default=0),
    click.option("--tensorflow_intra_op_parallelism", type=int, default=0),
    click.option("--tensorflow_inter_op_parallelism", type=int, default=0),
    click.option("--drain_seconds", type=float, default=30.0, show_default=True, help="How long a stop waits."),
    click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version),
    *(
        click.option(f"--{name}", is_flag=False, flag_value="true", hidden=True, expose_value=False, callback=_refuse)
        for name in LEFT_OUT
    ),
)


def server_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the flags of the server, by the original's names."""
    for option in reversed(_FLAGS):
        command = option(command)
    return command


def start_server(**flags: Any) -> int:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        **flags: Values of `server_flags`.

    Returns:
        The exit code.

    Raises:
        click.UsageError: The flags do not go together.
    """
    try:
        options = ServerOptions(**flags)
        options.channel_arguments()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_standard_error():
        from deploy.serving.server import run_server

    return run_server(options)


@contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Drops what libraries write past Python: TensorFlow greets before any log level holds. Exceptions pass."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@click.command()
@server_flags
@click.pass_context
def serve(context: click.Context, **flags: Any) -> None:
    """Serve SavedModels over TF Serving's gRPC and REST; new versions are picked up while it runs."""
    context.exit(start_server(**flags))


@click.command()
@click.argument("texts", nargs=-1)
@click.option("--file", type=_FILE, help="Lines of text, JSON Lines, .csv or .tsv; default: standard input.")
@click.option("--server", default="localhost:8500", show_default=True, metavar="HOST:PORT", help="gRPC address.")
@click.option("--model_name", default="default", show_default=True, envvar="ATTENTION_MODEL_NAME", show_envvar=True)
@click.option("--version", "model_version", type=int, help="Ask this version; default: the newest.")
@click.option("--version_label", help="Ask the version with this label, such as stable.")
@click.option("--timeout_seconds", type=float, default=10.0, show_default=True)
@click.option("--tls", is_flag=True, help="The server speaks TLS; trust whom the system trusts.")
@click.option("--ca_file", type=_FILE, help="TLS: trust this authority (PEM).")
@click.option("--certificate_file", type=_FILE, help="TLS: certificate to show (PEM).")
@click.option("--key_file", type=_FILE, help="TLS: its key (PEM).")
@click.option("--explain", is_flag=True, help="Shade each word by the attention that it drew.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a heat map page (HTML).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per row.")
def predict(
    texts: tuple[str, ...],
    file: Path | None,
    server: str,
    model_name: str,
    model_version: int | None,
    version_label: str | None,
    timeout_seconds: float,
    tls: bool,
    ca_file: Path | None,
    certificate_file: Path | None,
    key_file: Path | None,
    explain: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Ask a served model: TEXTS, a file, or standard input, one row each."""
    from deploy.serving.client import PredictionClient, PredictionError, tls_credentials

    try:
        files = (ca_file, certificate_file, key_file)
        credentials = tls_credentials(*files) if tls or any(files) else None
        with PredictionClient(
            server,
            model_name,
            version=model_version,
            label=version_label,
            timeout_seconds=timeout_seconds,
            credentials=credentials,
        ) as client:
            rows = _rows(texts, file, client)
            predictions = client.explain(rows) if explain or out else client.predict(rows)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except PredictionError as error:
        raise click.ClickException(f"{server} did not answer for model {model_name}: {error}") from error
    if out is not None:
        from deploy.serving.shading import heat_map_page

        out.write_text(heat_map_page(predictions, f"What {model_name} attended to"), encoding="utf-8")
        click.echo(f"Wrote {out}.", err=True)
    if as_json:
        _print_json(predictions)
    elif explain:
        _print_shaded(predictions)
    elif out is None:
        _print_table(rows, predictions)


def _rows(texts: tuple[str, ...], file: Path | None, client: "PredictionClient") -> list[Any]:
    from deploy.serving.input_rows import is_table, read_rows, rows_of_lines

    if texts and file is not None:
        raise ValueError("Give texts or `--file`, not both.")
    if texts:
        return list(texts)
    if file is not None and is_table(file):
        # A table may well have columns that the model does not read, its label for one.
        known = client.inputs()
        return [{name: value for name, value in row.items() if name in known} for row in read_rows(file)]
    if file is not None:
        return list(read_rows(file))
    if sys.stdin.isatty():
        click.echo("One row per line; end with Ctrl-D.", err=True)
    return list(rows_of_lines(sys.stdin))


def _print_json(predictions: Iterable[Any]) -> None:
    for prediction in predictions:
        told = {
            key: value
            for key, value in asdict(prediction).items()
            if key not in _OF_LAYERS or (value is not None and len(value))
        }
        click.echo(json.dumps(_without_nan(told), ensure_ascii=False, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: a probability that is none becomes null; and no arrays, which become lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _print_shaded(predictions: Iterable[Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    from deploy.serving.shading import most_attended, shaded

    console = Console()
    for prediction in predictions:
        console.print(Text(str(prediction), style="bold"))
        console.print(shaded(prediction))
        console.print(Text(f"{most_attended(prediction)}\n", style="dim"))


def _print_table(rows: Sequence[Any], predictions: Sequence[Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("answer", style="bold")
    table.add_column("row", ratio=1, no_wrap=True, overflow="ellipsis")
    for row, prediction in zip(rows, predictions, strict=True):
        shown = row if isinstance(row, str) else ", ".join(f"{name}={value}" for name, value in row.items())
        table.add_row(Text(str(prediction)), Text(" ".join(shown.split())))
    Console().print(table)


@click.group()
def main() -> None:
    """Serve models and ask them."""


main.add_command(serve)
main.add_command(predict)

if __name__ == "__main__":
    main()
