"""Copies the record of a run to MLflow."""

import os
import re
from pathlib import Path
from typing import Any

from pipeline.report.facts import RunReport
from pipeline.track.options import MlflowOptions
from pipeline.track.record import curve, parameters, results

_LONGEST_VALUE = 6000
_BATCH = 100
_NO_NAME = re.compile(r"[^\w/\-. :]")
"""What MLflow takes in no name."""


def track(options: MlflowOptions, report: RunReport, page: Path, directory: Path) -> str:
    """Sends the record.

    Args:
        options: where to.
        report: the record; its config is told with the values that a search gave.
        page: `report.html`, an artifact of the tracked run.
        directory: gets a folder `mlruns` where the options name no server.

    Returns:
        Where the tracked run is: the address of its tracking server or store, and its number there.

    Raises:
        mlflow.exceptions.MlflowException: the server is away or does not take it.
    """
    uri = options.tracking_uri or (directory / "mlruns").absolute().as_uri()
    settings = {"HTTP_REQUEST_TIMEOUT": f"{options.timeout_seconds:.0f}", "HTTP_REQUEST_MAX_RETRIES": "2"}
    for name, value in {**settings, "ALLOW_FILE_STORE": "true"}.items():
        os.environ.setdefault(f"MLFLOW_{name}", value)
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    name = options.experiment or report.pipeline
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name)
    tags = {"pipeline": report.pipeline, "verdict": report.verdict, "version": report.version or ""}
    run = client.create_run(number, run_name=report.run, tags={"mlflow.note.content": report.why or ""}).info.run_id
    now = client.get_run(run).info.start_time
    metrics = [Metric(_name(key), value, now, epoch) for epoch, logs in curve(report) for key, value in logs.items()]
    found = {key: value for key, value in results(report).items() if isinstance(value, (bool, int, float))}
    metrics += [Metric(_name(key), float(value), now, 0) for key, value in found.items()]
    params = [Param(_name(key), _short(value)) for key, value in parameters(report).items()]
    client.log_batch(run, tags=[RunTag(key, str(value)) for key, value in tags.items()])
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run, metrics=metrics[start : start + _BATCH])
    for start in range(0, len(params), _BATCH):
        client.log_batch(run, params=params[start : start + _BATCH])
    client.log_artifact(run, str(page))
    client.set_terminated(run, "FAILED" if report.verdict == "failed" else "FINISHED")
    return f"{uri}, run {run}"


def _name(key: str) -> str:
    """One `/` alone: on disk `gate/leak` cannot be a file and a folder, too."""
    group, slash, rest = key.partition("/")
    return _NO_NAME.sub("_", group + slash + rest.replace("/", "."))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
