"""What follows a run: its record, numbers, messages. Nothing of it changes the run's verdict or exit code."""

import datetime
import functools
import importlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from components.pusher.versions import latest_version, read_release
from pipeline import release
from pipeline.config import PipelineConfig
from pipeline.console import RunConsole
from pipeline.notify import messages
from pipeline.report.facts import PAGE, RunReport
from pipeline.workspace import Workspace

TRACKERS = {
    "mlflow": ("MLflow", "ml_flow"),
    "wandb": ("Weights & Biases", "weights_and_biases"),
    "opentelemetry": ("The collector of traces", "open_telemetry"),
    "openlineage": ("OpenLineage", "open_lineage"),
}
"""Group of `track` → what people call it, and the module that tells it."""

_logger = logging.getLogger("attention")


def follow_up(
    config: PipelineConfig, workspace: Workspace, console: RunConsole, run_id: str, result: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the run's record, publishes its numbers, tells people.

    A fault in that is one line on the terminal, and a traceback in the log.

    Args:
        config, workspace: of the run.
        console: is told the place of the report.
        run_id: of the run.
        result: as `attention run --json` prints it.

    Returns:
        What is added to it: `report`, the page's path; None if it could not be made.
    """
    report = leave_report(config, workspace, console, run_id, result)
    page = str(workspace.reports / run_id / PAGE) if report is not None else None

    def track(tracker: str) -> None:
        if report is not None and page:
            module = importlib.import_module(f"pipeline.track.{TRACKERS[tracker][1]}")
            place = module.track(getattr(config.track, tracker), report, Path(page), workspace.root)
            console.say(f"[dim]tracked: {escape(place)}[/]")

    def publish() -> None:
        from pipeline.notify import numbers

        live = release.live_version(config, workspace)
        found = numbers.numbers(config.name, result, live, _newest_push(workspace.serving(config.name)))
        numbers.publish(config.metrics, found, config.name)

    for tracker in config.track.wanted:
        _guarded(console, f"{TRACKERS[tracker][0]} was not told", functools.partial(track, tracker))
    told = {**result, "report": page}
    if config.metrics.textfile or config.metrics.pushgateway:
        _guarded(console, "The run's numbers could not be published", publish)
    if result["verdict"] in config.notify.on:
        webhook, email = config.notify.webhook, config.notify.email
        if webhook:
            _guarded(console, "The webhook was not told", lambda: messages.send_to_webhook(webhook, config.name, told))
        if email:
            _guarded(console, "The mail was not sent", lambda: messages.send_email(email, config.name, told))
    return {"report": page}


def leave_report(
    config: PipelineConfig, workspace: Workspace, console: RunConsole, run_id: str, result: Mapping[str, Any]
) -> RunReport | None:
    """Writes the run's record, and nothing else: all that follows a run that was interrupted.

    Args:
        config, workspace: of the run.
        console: is told the place of the report, or why there is none.
        run_id: of the run.
        result: as `attention run --json` prints it.
    """
    report: RunReport | None = None

    def record() -> None:
        nonlocal report
        from pipeline.report import write

        report = write.write_at_end(config, workspace, run_id, result)
        console.say(f"[dim]report: {escape(str(workspace.reports / run_id / PAGE))}[/]")

    _guarded(console, "The report could not be made", record)
    return report


def _newest_push(serving_dir: Path) -> float | None:
    made = read_release(serving_dir, latest_version(serving_dir)).get("created")
    return datetime.datetime.fromisoformat(made).timestamp() if made else None


def _guarded(console: RunConsole, what: str, act: Callable[[], None]) -> None:
    try:
        act()
    except Exception as error:  # whatever it is: the run is over, and its verdict stands
        _logger.exception("%s", what)
        said = " ".join(str(error).split()) or type(error).__name__
        console.say(f"[yellow]{escape(f'{what}: {said[:300]}')}[/]")
