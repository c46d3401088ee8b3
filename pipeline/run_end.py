"""What follows a run: its record. Nothing of it changes the run's verdict or exit code."""

import logging
from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from pipeline.config import PipelineConfig
from pipeline.console import RunConsole
from pipeline.workspace import Workspace

_logger = logging.getLogger("attention")


def follow_up(
    config: PipelineConfig, workspace: Workspace, console: RunConsole, run_id: str, result: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the run's record. A fault in that is one line on the terminal, and a traceback in the log.

    Args:
        config, workspace: of the run.
        console: is told the place of the report.
        run_id: of the run.
        result: as `attention run --json` prints it.

    Returns:
        What is added to it: `report`, the page's path; None if it could not be made.
    """
    from pipeline.report import write

    page = None
    try:
        write.write_at_end(config, workspace, run_id, result)
        page = workspace.reports / run_id / write.PAGE
        console.say(f"[dim]report: {escape(str(page))}[/]")
    except Exception as error:  # noqa: BLE001  # whatever it is: the run is over, and its verdict stands
        _tell(console, "The report could not be made", error)
    return {"report": str(page) if page else None}


def _tell(console: RunConsole, what: str, error: Exception) -> None:
    _logger.exception("%s", what)
    said = " ".join(str(error).split()) or type(error).__name__
    console.say(f"[yellow]{escape(f'{what}: {said[:300]}')}[/]")
