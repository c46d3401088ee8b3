"""`attention gate`, and `--overrule` of `attention run`."""

import json
from collections.abc import Callable
from pathlib import Path

import click

from pipeline.assets import AssetError
from pipeline.cli_options import EXIT_BLOCKED, UsageFault
from pipeline.config import ConfigError, load


def _parse(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    overrules = {}
    for value in values:
        name, equals, reason = value.partition("=")
        if not equals or not name.strip() or not reason.strip():
            raise click.BadParameter(f"takes GATE=REASON, and the reason is kept for ever. Received: {value!r}.")
        overrules[name.strip()] = reason.strip()
    return overrules


overrule_option: Callable = click.option(
    "--overrule",
    "overrules",
    multiple=True,
    callback=_parse,
    metavar="GATE=REASON",
    help="Let a failed gate pass in this run; the reason stays in its record and the version's.",
)


@click.command()
@click.argument("model_dir", type=click.Path(path_type=Path))
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--data", "-d", required=True, type=click.Path(path_type=Path), help="Table of rows with labels.")
@click.option("--live", type=click.Path(path_type=Path), metavar="DIR", help="A version to compare with.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder that gets gates.json and what is beside it.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a setting of the config.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on standard output.")
@click.pass_context
def gate(context, model_dir, config, data, live, out, settings, as_json) -> None:
    """Try the gates on a model that was exported before: MODEL_DIR is a version, CONFIG a file or a preset.

    \b
    attention gate workspace/reviews/serving/reviews/2 reviews.yaml --data new.csv
    attention gate serving/reviews/3 reviews.yaml --data new.csv --live serving/reviews/2

    Metrics are measured on the rows that are asked (`evaluation.rows`). Exit codes: 0 no gate blocks, 3 one does,
    2 wrong usage, 1 anything else.
    """
    from components.example_gen.errors import InputDataError
    from pipeline import gate_trial, presets

    try:
        resolved = load(presets.find(str(config)) or config, settings)
        gates = gate_trial.try_gates(resolved, model_dir, data, live, out)
    except (ConfigError, InputDataError) as error:
        raise UsageFault(str(error)) from None
    except AssetError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([each.as_json() for each in gates], ensure_ascii=False))
    else:
        gate_trial.show(gates)
    context.exit(EXIT_BLOCKED if any(each.blocks for each in gates) else 0)
