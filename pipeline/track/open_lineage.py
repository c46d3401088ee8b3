"""Tells a run as events of OpenLineage: a job for the pipeline and one for each step, from source files to version."""

import datetime
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.report.facts import RunReport
from pipeline.track.options import OpenLineageOptions
from pipeline.track.record import outcome, span, span_of_run

KEY_VARIABLE = "OPENLINEAGE_API_KEY"
PRODUCER = "urn:attention-pipeline"
ENDS = {"failed": "FAIL", "blocked": "FAIL", "interrupted": "ABORT", "running": "ABORT"}
"""Outcome → how OpenLineage calls it; all else is COMPLETE. What a gate blocked has made no version: it says why."""


def track(options: OpenLineageOptions, report: RunReport, page: Path, directory: Path) -> str:
    """Sends the events, each with the time at which it happened.

    Args:
        options: where to.
        report: the record.
        page: `report.html`, not sent.
        directory: what a relative `file` is relative to.

    Returns:
        The server's address or the file.

    Raises:
        requests.RequestException: the server is away or does not take an event.
        RuntimeError: the file cannot be written.
    """
    transport = _transport(options, directory)
    try:
        for event in events(report, options.namespace):
            transport.emit(event)
    finally:
        transport.close()
    return f"{options.url or directory / str(options.file)}, job {options.namespace}/{report.pipeline}"


def _transport(options: OpenLineageOptions, directory: Path) -> Any:
    from openlineage.client.transport.file import FileConfig, FileTransport
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    if options.file is not None:
        path = directory / options.file
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileTransport(FileConfig(str(path), append=True))
    settings = {"url": options.url, "timeout": options.timeout_seconds, "retry": {"total": 1, "connect": 1, "read": 1}}
    key = os.environ.get(KEY_VARIABLE)
    auth = {"auth": {"type": "api_key", "apiKey": key}} if key else {}
    return HttpTransport(HttpConfig.from_dict({**settings, **auth}))


def events(report: RunReport, namespace: str) -> Iterator[Any]:
    """The events of a run, in their order.

    Args:
        report: the record.
        namespace: of the jobs.

    Yields:
        RunEvents of the client's own model. A run's number follows from its name, so that events that are sent again
        are the same.
    """
    from openlineage.client.event_v2 import Job, Run
    from openlineage.client.facet_v2 import error_message_run, job_type_job, parent_run

    def job(name: str, kind: str) -> Any:
        facet = job_type_job.JobTypeJobFacet("BATCH", "TFX", kind, producer=PRODUCER)
        return Job(namespace, name, {"jobType": facet})

    def run_id(*step: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join([PRODUCER, namespace, report.pipeline, report.run, *step])))

    def end(kind: str, why: str) -> dict[str, Any]:
        message = error_message_run.ErrorMessageRunFacet(why, "Python", producer=PRODUCER)
        return {"errorMessage": message} if kind != "COMPLETE" and why else {}

    pipeline, began = job(report.pipeline, "DAG"), span_of_run(report)
    inputs, outputs = _inputs(report), _outputs(report)
    parent = parent_run.ParentRunFacet(
        parent_run.Run(run_id()), parent_run.Job(namespace, report.pipeline), producer=PRODUCER
    )
    yield _event("START", began[0], Run(run_id()), pipeline, inputs)
    for step in report.steps:
        moments, came = span(step), outcome(report, step)
        kind, why = ENDS.get(came, "COMPLETE"), step.error or (report.why if came == "blocked" else "")
        own = job(f"{report.pipeline}.{step.node}", "TASK")
        read, wrote = (inputs if step.node == "ExampleGen" else []), (outputs if step.node == "Pusher" else [])
        facets: dict[str, Any] = {"parent": parent}
        yield _event("START", moments[0], Run(run_id(step.node), facets), own, read)
        yield _event(kind, moments[1], Run(run_id(step.node), facets | end(kind, why)), own, read, wrote)
    kind = ENDS.get(report.verdict, "COMPLETE")
    yield _event(kind, began[1], Run(run_id(), end(kind, report.why)), pipeline, inputs, outputs)


def _event(kind: str, moment: datetime.datetime, run: Any, job: Any, inputs: Any = (), outputs: Any = ()) -> Any:
    from openlineage.client.event_v2 import RunEvent, RunState

    return RunEvent(
        eventTime=moment.isoformat(timespec="milliseconds"),
        producer=PRODUCER,
        run=run,
        job=job,
        eventType=RunState[kind],
        inputs=list(inputs),
        outputs=list(outputs),
    )


def _inputs(report: RunReport) -> list[Any]:
    """The source files; their version is their sha256 or, where that is not known, TFX's fingerprint of all."""
    from openlineage.client.event_v2 import InputDataset

    if report.data is None:
        return []
    found = []
    for path in report.data.source_files:
        namespace, name = place(path)
        version = report.data.source_sha256.get(path) or report.data.fingerprint
        found.append(InputDataset(namespace, name, facets=_version(version)))
    return found


def _outputs(report: RunReport) -> list[Any]:
    """The model's base path, in the version that was pushed."""
    from openlineage.client.event_v2 import OutputDataset

    if report.verdict != "pushed" or report.model is None or not report.model.pushed_to:
        return []
    namespace, name = place(str(Path(report.model.pushed_to).parent))
    return [OutputDataset(namespace, name, facets=_version(str(report.version)))]


def place(path: str) -> tuple[str, str]:
    """Namespace and name of a file, as OpenLineage's naming has them."""
    parts = urlsplit(path)
    if "://" in path and parts.scheme != "file":
        return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")
    return "file", path


def _version(version: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    facet = dataset_version_dataset.DatasetVersionDatasetFacet(version, producer=PRODUCER)
    return {"version": facet} if version else {}
