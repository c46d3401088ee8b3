"""Predictions for whole tables, by the live version and on the config's Beam runner."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import click

from pipeline.cli_options import end, with_config
from pipeline.config import ConfigError, PipelineConfig
from pipeline.console import noise_to
from pipeline.workspace import Workspace

_STATE_FILE = "batch.json"


@click.command("batch-predict")
@with_config
@click.option("--input", "-i", "table", required=True, help="A file, glob or folder, as for `data.input`; no label.")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="Folder for the predictions.")
@click.option("--version", type=int, help="Of the model; default: the one that is live.")
@click.option("--explain", is_flag=True, help="With the attention of every token.")
@click.option("--format", type=click.Choice(["jsonl", "parquet"]), default="jsonl", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
@click.pass_context
def batch_predict(context, config, workspace, table, output, version, explain, format, as_json) -> None:
    """Predict a whole table: tables in, tables out, the numbers that the server gives.

    \b
    attention batch-predict reviews.yaml --input new.csv --output predictions
    attention batch-predict reviews.yaml --input 'new/*.parquet' --output predictions --explain --format parquet

    OUTPUT gets a part for each part of the input: `file` and `row` (from 1), the passthrough features, and the answer.
    Rows that cannot be used are kept in OUTPUT/quarantine-*.jsonl with their reasons. The same command again goes on
    where it was killed. Exit codes: 0 done, 2 wrong usage or input, 1 anything else.
    """
    with noise_to(workspace.logs / "batch-predict.log"):
        from components.example_gen.errors import InputDataError

        try:
            result = predict_table(config, workspace, table, output.absolute(), version, explain, format)
        except InputDataError as error:
            raise ConfigError(str(error)) from None
    counts = f"{result['rows_predicted']:,} of {result['rows_read']:,} rows by version {result['version']}"
    bad = ", ".join(f"{count:,} {reason}" for reason, count in result["quarantined_by_reason"].items())
    click.echo(f"Predicted {counts} → {output}{f'; in quarantine: {bad}' if bad else ''}", err=True)
    end(context, result, as_json, 0)


def predict_table(
    config: PipelineConfig,
    workspace: Workspace,
    table: str,
    output: Path,
    version: int | None = None,
    explain: bool = False,
    format: str = "jsonl",
) -> dict[str, Any]:
    """Predicts every row of a table that can be used.

    Returns:
        `version`, `rows_read`, `rows_predicted`, `quarantined_by_reason`, `output`.

    Raises:
        ConfigError: there is no such version, or the folder holds other predictions.
        InputDataError: the table cannot be used.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.batch_predict.predict import PREDICTED, PredictDoFn, Report, Task, report_path
    from components.example_gen.errors import InputDataError
    from components.pusher.versions import version_dirs
    from pipeline import release
    from pipeline.beam import checks
    from pipeline.beam.arguments import pipeline_args
    from pipeline.beam.choice import settle

    checks.check(config, workspace, [table, str(output)])
    versions = version_dirs(workspace.serving(config.name))
    version = version or release.live_version(config, workspace)
    if version not in versions:
        listed = ", ".join(map(str, versions)) or "none; `attention run` pushes one"
        raise ConfigError(f"There is no version {version or 'live'} of {config.name!r}. There are: {listed}.")
    options = config.example_gen_options(str(output)).model_copy(update={"labels": (), "split_by": None})
    task = Task.model_construct(
        model_dir=str(versions[version]), explain=explain, format=format, options=options, output_dir=str(output)
    )
    units = _plan(table, options)
    _claim(output, _fingerprint(units, task, version))
    waiting = [(index, unit) for index, unit in enumerate(units) if not os.path.exists(report_path(task, index))]
    if waiting:
        runner = settle(config.beam, {unit.path for _, unit in waiting})
        with beam.Pipeline(options=PipelineOptions(pipeline_args(runner))) as pipeline:
            _ = (
                pipeline
                | "CreateUnits" >> beam.Create(waiting)
                | "SpreadUnits" >> beam.Reshuffle()
                | "Predict" >> beam.ParDo(PredictDoFn(task))
            )
    report = Report()
    for index in range(len(units)):
        report.add(Report.model_validate_json(Path(report_path(task, index)).read_text(encoding="utf-8")))
    if report.error is not None:
        raise InputDataError(report.error)
    return {
        "verdict": "predicted",
        "version": version,
        "rows_read": report.rows_read,
        "rows_predicted": report.rows_by_split[PREDICTED],
        "quarantined_by_reason": dict(report.bad_by_reason.most_common()),
        "output": str(output),
    }


def _plan(table: str, options: Any) -> list[Any]:
    from components.example_gen.errors import InputDataError
    from components.example_gen.files import matching_files
    from components.example_gen.inputs import resolve_inputs
    from components.example_gen.plan import data_files, plan_files

    base, ((_, pattern),) = resolve_inputs(table)
    paths = data_files(matching_files(os.path.join(base, pattern)))
    units = plan_files(paths, base, options)
    if not units:
        raise InputDataError(f"`{table}` is empty.")
    return units


def _fingerprint(units: list[Any], task: Any, version: int) -> str:
    """Names a job by all that its predictions depend on: the files as they are now, the version, what is wanted."""
    files = {}
    for unit in units:
        status = os.stat(unit.path) if os.path.exists(unit.path) else None
        files[unit.path] = (status.st_size, status.st_mtime_ns) if status else None
    described = [files, version, task.model_dir, task.explain, task.format, task.options.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _claim(output: Path, fingerprint: str) -> None:
    """Takes an empty folder, or goes on in one that the same job began.

    Raises:
        ConfigError: the folder holds something else.
    """
    state = output / _STATE_FILE
    if state.exists():
        if json.loads(state.read_text(encoding="utf-8"))["fingerprint"] != fingerprint:
            raise ConfigError(
                f"{output} holds the predictions of another job: other rows, another version or other options. "
                "Name another --output, or remove that folder."
            )
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output} is there already and holds something else. Name a new folder as --output.")
    (output / "_reports").mkdir(parents=True, exist_ok=True)
    state.write_text(json.dumps({"fingerprint": fingerprint}) + "\n", encoding="utf-8")
