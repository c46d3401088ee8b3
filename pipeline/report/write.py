"""Writes the record of a run beside the workspace's artifacts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.history import History, HistoryError, connection_config
from pipeline.report import environment
from pipeline.report.facts import FACTS, PAGE, SUMMARY, RunReport
from pipeline.workspace import Workspace


def write(report: RunReport, folder: Path) -> Path:
    """Writes `report.html`, `run.json` and `summary.md`.

    Returns:
        The page.
    """
    from pipeline.report.page import render_page, render_summary

    files = {
        FACTS: report.model_dump_json(indent=1) + "\n",
        SUMMARY: render_summary(report),
        PAGE: render_page(report),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / PAGE


def write_at_end(config: PipelineConfig, workspace: Workspace, run_id: str, result: Mapping[str, Any]) -> RunReport:
    """Records the run that ends in this process.

    Args:
        config, workspace: of the run.
        run_id: of the run; ML Metadata need not know it.
        result: as `attention run --json` prints it.
    """
    environment.record(workspace.logs / run_id)
    report = gather_run(config, workspace, run_id, result)
    write(report, workspace.reports / run_id)
    return report


def gather_run(config: PipelineConfig, workspace: Workspace, run_id: str, result: Mapping[str, Any]) -> RunReport:
    """The facts of a run, with what it told at its end; of one that is not in ML Metadata only that."""
    from pipeline.report.gather import gather

    history = History(connection_config(config.metadata, workspace.metadata), config.name)
    try:
        history.run(run_id)
    except HistoryError:
        return gather(config, workspace, None, run_id, result)
    return gather(config, workspace, history, run_id, result)
