"""Copies the record of a run to Weights & Biases."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.report.facts import RunReport
from pipeline.track.options import WandbOptions

KEY_VARIABLE = "WANDB_API_KEY"


class NotTrackedError(RuntimeError):
    """The record was not taken; the text says why and holds no secret."""


def is_installed() -> bool:
    """Whether the package is here; nothing is imported."""
    return importlib.util.find_spec("wandb") is not None


def track(options: WandbOptions, report: RunReport, page: Path, directory: Path) -> str:
    """Sends the record, or only keeps it where `options.mode` is offline.

    Args:
        options: where to.
        report: the record; its config is told with the values that a search gave.
        page: `report.html`, a file of the tracked run.
        directory: gets a folder `wandb`.

    Returns:
        Where the tracked run is: an address, or its folder.

    Raises:
        NotTrackedError: the key is not set.
        wandb.Error: the server is away or does not take it.
    """
    import wandb

    if options.mode == "online" and not os.environ.get(KEY_VARIABLE):
        raise NotTrackedError(f"the environment variable {KEY_VARIABLE} is not set")
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        save_code=False,
        init_timeout=options.timeout_seconds,
        x_disable_stats=True,
        x_disable_meta=True,
        **({"base_url": options.base_url} if options.base_url else {}),
    )
    try:
        run = wandb.init(
            project=options.project,
            entity=options.entity,
            mode=options.mode,
            dir=directory,
            id=report.run,
            name=report.run,
            group=report.pipeline,
            job_type=report.verdict,
            tags=[report.pipeline, report.verdict, *([f"version {report.version}"] if report.version else [])],
            notes=report.why,
            config=parameters(report),
            settings=settings,
        )
        try:
            for epoch, logs in enumerate(report.training.curve if report.training else [], start=1):
                run.log({name: value for name, value in logs.items() if value is not None}, step=epoch)
            run.summary.update(results(report))
            run.save(str(page), base_path=str(page.parent), policy="now")
            return run.url or str(Path(run.dir).parent)
        finally:
            run.finish(exit_code=int(report.verdict == "failed"))
    finally:
        wandb.teardown()  # else its service stays until this process ends


def parameters(report: RunReport) -> dict[str, Any]:
    """The resolved config as dotted path → value; what was tuned has its best value."""
    return _flat(report.config) | (report.training.tuned if report.training else {})


def results(report: RunReport) -> dict[str, Any]:
    """Metrics on the test split, gates, rows and seconds; what was not measured is left out."""
    found: dict[str, Any] = {f"test/{metric.name}": metric.value for metric in report.metrics}
    for gate in report.gates:
        found |= {f"gate/{gate.name}": gate.value, f"gate/{gate.name}/passed": gate.passed}
    if report.data is not None:
        parts = ("read", "used", "quarantined")
        found |= {f"rows/{part}": getattr(report.data, f"rows_{part}") for part in parts}
    found |= {f"seconds/{step.node}": step.seconds for step in report.steps}
    found |= {"verdict": report.verdict, "version": report.version}
    return {name: value for name, value in found.items() if value is not None}


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, each in value.items():
        path = f"{before}{key}"
        flat |= _flat(each, f"{path}.") if isinstance(each, Mapping) and each else {path: each}
    return flat
