"""The `attention` command; each sub-command calls one function elsewhere."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from deploy.serving.commands import predict, server_flags, start_server
from pipeline.batch_predict import batch_predict
from pipeline.cli_options import (
    EXIT_CODES,
    EXIT_FAILED,
    UsageFault,
    end,
    plain_errors,
    resolve_config,
    with_config,
    workspace_of,
)
from pipeline.config import json_schema, load
from pipeline.gate_command import gate, overrule_option
from pipeline.kubeflow.commands import compile_pipeline, submit
from pipeline.report.command import report
from pipeline.ui.command import ui

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("GLOG_minloglevel", "3")  # ML Metadata's
os.environ["TF_USE_LEGACY_KERAS"] = "0"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="attention-pipeline", prog_name="attention")
def main() -> None:
    """Retrains, gates, pushes and serves attention models on labelled rows.

    Exit codes: 0 pushed or nothing new, 3 blocked by a gate, 2 wrong usage or config, 1 anything else.
    """


@main.command()
@with_config
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
@click.option("--no-cache", is_flag=True, help="Run every step again.")
@click.option("--tune", is_flag=True, help="Search better training options first, as `tune` in the config says.")
@overrule_option
@click.pass_context
def run(context, config, workspace, as_json, no_cache, tune, overrules) -> None:
    """Run the pipeline: ingest, validate, train, evaluate, gate, push.

    \b
    attention run reviews                              a preset
    attention run config.yaml --set train.epochs=2     a config file
    attention run --data table.csv --label sentiment   a table
    attention run config.yaml --tune                   a search before the training

    Later runs train with the best values of the newest search of the same `tune.space`, until --tune is given again. A
    search that was cut off goes on; one of the same data and settings is not made twice, but for another `tune.seed`.
    """
    from pipeline import runs

    if tune and config.tune is None:
        raise UsageFault(
            "--tune needs `tune.space` in the config: what is to be searched, such as "
            "`tune: {space: {train.learning_rate: {min: 0.0005, max: 0.005, scale: log}}}`."
        )
    end(context, runs.run_and_tell(config, workspace, not no_cache, overrules=overrules, tune=tune), as_json)


@main.command()
@with_config
@click.option("--once", is_flag=True, help="Look once, run if a trigger says so, and end: for cron and CronJobs.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on standard output for each run.")
@click.pass_context
def schedule(context, config, workspace, once, as_json) -> None:
    """Retrain whenever a trigger of the config's `schedule` says so: a time, new data, so many new rows.

    \b
    attention schedule reviews.yaml          waits and runs until it is told to end
    attention schedule reviews.yaml --once   one look, at most one run

    What was tried is kept in WORKSPACE/schedule.json; what a kill or a full disk cut off goes on at the next look. A
    run that failed is tried again, one that a gate blocked is not. SIGTERM and Ctrl-C end it after the step under way,
    a second time at once. Exit codes of --once: 0 pushed, nothing new, nothing due or another run at work, 3 blocked
    by a gate, 2 wrong usage, config or input, 1 anything else.
    """
    from pipeline.schedule import command

    if once:
        end(context, command.look_once(config, workspace), as_json)
    given = {name: context.params[name] for name in ("config", "data", "label", "settings", "workspace")}
    command.wait_and_run(config, workspace, command.arguments(**given), as_json)


@main.command()
@click.option("--workspace", "-w", type=click.Path(path_type=Path), help="Default: workspace/reviews.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a setting of the preset.")
@click.pass_context
def demo(context, workspace, settings) -> None:
    """Real reviews in, a served model out: run the preset, start the server, ask it a few unseen reviews."""
    from pipeline import demo as demonstration
    from pipeline import presets

    with plain_errors():
        config = load(presets.path("reviews"), settings)
        verdict = demonstration.demonstrate(config, workspace_of(config, workspace))
    context.exit(EXIT_CODES.get(verdict, EXIT_FAILED))


@main.command()
@click.argument("table")
@click.option("--label", "-l", required=True, help="Column that holds the class.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Config file to write; default: NAME.yaml.")
@click.option("--name", help="Of the pipeline and the served model; default: from the table's file name.")
@click.option("--force", is_flag=True, help="Write over an existing file.")
def init(table, label, out, name, force) -> None:
    """Look at a table and write a commented config that runs as it is."""
    from pipeline import init as initial

    with plain_errors():
        path = initial.write_config(table, label, out, name, force)
    click.echo(f"Wrote {path}. Read it, then: attention run {path}", err=True)


@main.command("config-schema")
def config_schema() -> None:
    """Print the JSON schema of config files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
@with_config
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("schema.pbtxt"), show_default=True)
def schema(config, workspace, out) -> None:
    """Write out the schema of the newest run, to be curated and named as `schema_file` in the config."""
    from pipeline import runs

    path = runs.export_schema(config, workspace, out)
    click.echo(f"Wrote {path}. Edit it, then add `schema_file: {path}` to the config.", err=True)


@main.command("runs")
@with_config
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each run.")
def list_runs(config, workspace, limit, as_json) -> None:
    """List the runs of a pipeline, newest first."""
    from pipeline import views

    views.runs(config, workspace, limit, as_json)


@main.command()
@click.argument("run_id", metavar="RUN")
@with_config
@click.option("--json", "as_json", is_flag=True)
def show(run_id, config, workspace, as_json) -> None:
    """Show one run (its id, or `latest`): steps, gates, metrics."""
    from pipeline import views

    views.show(config, workspace, run_id, as_json)


@main.command()
@click.argument("version", type=int)
@with_config
@click.option("--json", "as_json", is_flag=True)
def lineage(version, config, workspace, as_json) -> None:
    """Show what a pushed version was made of, back to the table."""
    from pipeline import views

    views.lineage(config, workspace, version, as_json)


@main.command()
@with_config
@click.option("--version", type=int, help="The candidate; default: the newest that was not taken back before.")
@click.option("--requests", metavar="FILE", help="Rows to send to both, as for `predict`; - reads them as they come.")
@click.option("--why", default="", help="A word for the record.")
@click.option("--who", default="", help="For the record; default: USER@HOST.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
@click.pass_context
def release(context, config, workspace, version, requests, why, who, as_json) -> None:
    """Make the newest version canary, compare it with stable on the running servers, promote it or take it back.

    \b
    attention release reviews.yaml                                 the requests recorded with the versions
    tail -f rows.jsonl | attention release reviews.yaml --requests -   rows as clients send them

    Wants `push.label: canary` in the config; limits stand under `release`. Exit codes: 0 promoted or nothing newer,
    3 taken back, 2 wrong usage, 1 anything else, such as servers that are not there.
    """
    from pipeline import release_commands

    end(context, release_commands.release(config, workspace, version, requests, why, who), as_json)


@main.command()
@with_config
@click.option("--to", type=int, metavar="VERSION", help="Gets `stable`; default: undo the newest move.")
@click.option("--why", default="By hand.", show_default=True, help="For the record.")
@click.option("--who", default="", help="For the record; default: USER@HOST.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
@click.pass_context
def rollback(context, config, workspace, to, why, who, as_json) -> None:
    """Take the canary away; if there is none, give `stable` back to the version before. At once, by label.

    \b
    attention rollback reviews.yaml --why "complaints about dresses"
    attention rollback reviews.yaml --to 3

    Exit codes: 0 done, 2 nothing to go back to, 1 anything else, such as servers that are not there; the model config
    file says what was wanted even then, so that they come up with it.
    """
    from pipeline import release_commands

    result = release_commands.rollback(config, workspace, to, why, who)
    end(context, result, as_json, 0 if result["verdict"] == "rolled_back" else EXIT_FAILED)


@main.command()
@with_config
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each move.")
def releases(config, workspace, limit, as_json) -> None:
    """List who moved which label when and why, newest first."""
    from pipeline import release_commands

    release_commands.show(config, workspace, limit, as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def doctor(context, as_json) -> None:
    """Say what this machine has and what is missing."""
    from pipeline import doctor as check

    context.exit(0 if check.examine(as_json) else EXIT_FAILED)


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE")
@click.option("--workspace", "-w", type=click.Path(path_type=Path), help="Default: workspace/NAME.")
@server_flags
@click.pass_context
def serve(context, config, settings, workspace, **flags) -> None:
    """Serve over the TF Serving API: the model of CONFIG (or of a preset), or any by the original's flags.

    \b
    attention serve reviews
    attention serve --model_name NAME --model_base_path DIR --port P --rest_api_port R
    """
    if config is not None:
        with plain_errors():
            resolved = resolve_config(config, (), None, settings)
            place = workspace_of(resolved, workspace)
            defaults: dict[str, Any] = {
                "model_name": resolved.name,
                "model_base_path": str(place.serving(resolved.name)),
            }
            defaults |= resolved.serving.model_dump()
            if resolved.push.label:
                from pipeline import release_commands

                defaults |= release_commands.serving_flags(resolved, place)
        told = click.core.ParameterSource.COMMANDLINE
        flags |= {name: value for name, value in defaults.items() if context.get_parameter_source(name) != told}
    context.exit(start_server(**flags))


main.add_command(predict)
main.add_command(batch_predict)
main.add_command(compile_pipeline)
main.add_command(submit)
main.add_command(report)
main.add_command(ui)
main.add_command(gate)


if __name__ == "__main__":
    sys.exit(main())
