"""What every command shares: which pipeline is meant, what a fault says, and the exit code."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from pipeline.assets import AssetError
from pipeline.config import ConfigError, MetadataError, PipelineConfig, load, parse

EXIT_FAILED, EXIT_USAGE, EXIT_BLOCKED = 1, 2, 3
EXIT_CODES = {"pushed": 0, "promoted": 0, "unchanged": 0, "blocked": EXIT_BLOCKED, "rolled_back": EXIT_BLOCKED}
EXIT_CODES |= {"not_due": 0, "busy": 0}


class UsageFault(click.ClickException):
    """The command or the config cannot be used as it is: one clear message on standard error."""

    exit_code = EXIT_USAGE


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns the faults that a person can mend into one message and the right exit code."""
    try:
        yield
    except ConfigError as error:
        raise UsageFault(str(error)) from None
    except (AssetError, MetadataError) as error:
        raise click.ClickException(str(error)) from None


def with_config(function: Callable) -> Callable:
    """Adds the ways of saying which pipeline is meant; the command gets its config and workspace."""

    @functools.wraps(function)
    def command(*arguments, config, data, label, settings, workspace, **options):
        with plain_errors():
            resolved = resolve_config(config, data, label, settings)
            return function(*arguments, config=resolved, workspace=workspace_of(resolved, workspace), **options)

    options = [
        click.argument("config", required=False, type=click.Path(path_type=Path)),
        click.option(
            "--data", "-d", multiple=True, help="A file, glob or folder; or train=FILE, eval=FILE, test=FILE."
        ),
        click.option("--label", "-l", help="Column that holds the class (with --data)."),
        click.option(
            "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a setting of the config."
        ),
        click.option("--workspace", "-w", type=click.Path(path_type=Path), help="Default: workspace/NAME."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def end(context: click.Context, result: dict[str, Any], as_json: bool, code: int | None = None) -> NoReturn:
    """Prints the line of JSON, if it is wanted, and exits with a code or by the verdict."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, allow_nan=False))
    by_verdict = EXIT_CODES.get(result["verdict"], result.get("exit_code", EXIT_FAILED))
    context.exit(by_verdict if code is None else code)


def resolve_config(
    config: Path | None, data: tuple[str, ...], label: str | None, settings: tuple[str, ...]
) -> PipelineConfig:
    """A config from a file or a preset's name, or guessed from a table.

    Raises:
        ConfigError: neither or both were given, or the config is at fault.
    """
    from pipeline import init, presets

    if config is not None and not data:
        known = presets.find(str(config))
        return load(known or config, settings)
    if not data:
        raise ConfigError(
            f"Name a config file or a preset ({', '.join(presets.names())}), or a table: --data FILE --label COLUMN."
        )
    if config is not None:
        raise ConfigError("Give a config file or --data, not both; --set data.input=FILE changes the config's table.")
    if label is None:
        raise ConfigError("--data needs --label COLUMN: the column that holds the class.")
    raw = init.guess_config(init.parse_data(data), label)
    return parse(raw, "the config guessed from the table", settings)


def workspace_of(config: PipelineConfig, path: Path | None) -> Any:
    """The workspace of a path, or the default one.

    Raises:
        UsageFault: the path is an address and no folder.
    """
    from pipeline.workspace import Workspace

    scheme, colon, rest = str(path or "").partition(":/")
    if colon and scheme.isalnum() and len(scheme) > 1:
        raise UsageFault(
            "--workspace must be a folder of this machine: runs hold a lock there and versions appear by one rename, "
            f"which object stores do not have. Tables may lie in gs://. Received: {scheme}://{rest.lstrip('/')}."
        )
    return Workspace((path or Path("workspace") / config.name).absolute())
