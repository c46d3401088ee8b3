"""What a tracker gets of a run."""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.report.facts import RunReport
from pipeline.track.options import TrackOptions


class NotTrackedError(RuntimeError):
    """The record was not taken; the text says why and holds no secret."""


def missing_packages(options: TrackOptions) -> list[str]:
    """Trackers that the config wants and whose package is not here; nothing is imported."""
    return [name for name in options.wanted if importlib.util.find_spec(name) is None]


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


def tags(report: RunReport) -> list[str]:
    """By which runs are found again."""
    return [report.pipeline, report.verdict, *([f"version {report.version}"] if report.version else [])]


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, each in value.items():
        path = f"{before}{key}"
        flat |= _flat(each, f"{path}.") if isinstance(each, Mapping) and each else {path: each}
    return flat
