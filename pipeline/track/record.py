"""What a tracker gets of a run."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.extras import is_here
from pipeline.report.facts import RunReport, StepFact
from pipeline.track.options import PACKAGES, TrackOptions


class NotTrackedError(RuntimeError):
    """The record was not taken; the text says why and holds no secret."""


def missing_packages(options: TrackOptions) -> list[str]:
    """The extras of what the config wants and whose package is not here; the package itself is not imported."""
    return [PACKAGES[name][1] for name in options.wanted if not is_here(PACKAGES[name][0])]


def parameters(report: RunReport) -> dict[str, Any]:
    """The resolved config as dotted path → value; what was tuned has its best value."""
    return _flat(report.config) | (report.training.tuned if report.training else {})


def results(report: RunReport) -> dict[str, Any]:
    """Metrics on the test split, gates, rows and seconds; what was not measured is left out."""
    found: dict[str, Any] = {f"test/{metric.name}": metric.value for metric in report.metrics}
    for gate in report.gates:
        found |= {f"gate/{gate.name}": gate.value, f"passed/{gate.name}": gate.passed}
    if report.data is not None:
        parts = ("read", "used", "quarantined")
        found |= {f"rows/{part}": getattr(report.data, f"rows_{part}") for part in parts}
    found |= {f"seconds/{step.node}": step.seconds for step in report.steps}
    found |= {"verdict": report.verdict, "version": report.version}
    return {name: value for name, value in found.items() if value is not None}


def curve(report: RunReport) -> Iterator[tuple[int, dict[str, float]]]:
    """Number of each epoch, from 1, and what was measured in it."""
    for epoch, logs in enumerate(report.training.curve if report.training else [], start=1):
        yield epoch, {name: value for name, value in logs.items() if value is not None}


def span(step: StepFact) -> tuple[datetime.datetime, datetime.datetime]:
    """When a step began and ended.

    Raises:
        NotTrackedError: the record does not tell.
    """
    if step.started is None:
        raise NotTrackedError(f"the record does not tell when {step.node} began")
    return step.started, step.started + datetime.timedelta(seconds=step.seconds)


def span_of_run(report: RunReport) -> tuple[datetime.datetime, datetime.datetime]:
    """When a run began and ended; of one without steps both are now."""
    spans = [span(step) for step in report.steps]
    now = datetime.datetime.now(datetime.UTC)
    return min([report.started or now, *(first for first, _ in spans)]), max((last for _, last in spans), default=now)


def outcome(report: RunReport, step: StepFact) -> str:
    """The state of a step; `blocked` where a gate of it stopped the run."""
    blocked = any(gate.blocks for gate in report.gates if gate.step == step.node)
    return "blocked" if blocked and step.state in ("ran", "cached") else step.state


def tags(report: RunReport) -> list[str]:
    """By which runs are found again."""
    return [report.pipeline, report.verdict, *([f"version {report.version}"] if report.version else [])]


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, each in value.items():
        path = f"{before}{key}"
        flat |= _flat(each, f"{path}.") if isinstance(each, Mapping) and each else {path: each}
    return flat
