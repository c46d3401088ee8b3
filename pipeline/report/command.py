"""The command `report`."""

import json
from pathlib import Path
from typing import Any

import click

from pipeline.cli_options import with_config


def _print_schema(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from pipeline.report.facts import json_schema

        click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        context.exit()


@click.command()
@with_config
@click.option("--run", "run_id", default="latest", show_default=True, help="Its id, as `attention runs` lists it.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder; default: WORKSPACE/reports/RUN.")
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON schema of run.json and end.",
)
def report(config: Any, workspace: Any, run_id: str, out: Path | None) -> None:
    """Make the record of a run again from ML Metadata: report.html, run.json, summary.md.

    \b
    attention report reviews.yaml
    attention report reviews.yaml --run 20261126-205900.917 --out /tmp/report
    attention report --schema

    Every run leaves its own in WORKSPACE/reports/RUN when it ends. What is not known any more is left out.
    """
    from deploy.serving.commands import quiet_standard_error
    from pipeline.report.write import gather_run, write
    from pipeline.views import found, open_history

    run = found(open_history(config, workspace).run, run_id)
    with quiet_standard_error():
        page = write(gather_run(config, workspace, run.run_id, run.as_json()), out or workspace.reports / run.run_id)
    click.echo(page)
