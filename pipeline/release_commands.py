"""`attention release`, `rollback` and `releases`: what a person sees of them."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ml_metadata.errors import StatusError
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from deploy.serving.client_errors import PredictionError
from deploy.serving.input_rows import read_rows, rows_of_lines
from deploy.serving.model_config_file import RolloutError
from deploy.serving.rollout import STABLE
from pipeline.config import ConfigError, MetadataError, PipelineConfig
from pipeline.history import HistoryError, connection_config
from pipeline.release import Outcome, Release, labelled_versions, model_config_file
from pipeline.release_history import Change, ReleaseHistory
from pipeline.workspace import Workspace

COLOURS = {"promoted": "green", "unchanged": "cyan", "rolled_back": "red", "failed": "red", "canary": "yellow"}


def release(
    config: PipelineConfig, workspace: Workspace, version: int | None, requests: str | None, why: str, who: str
) -> dict[str, Any]:
    """Tries a version and says on standard error how it went.

    Args:
        config, workspace: of the pipeline.
        version: the candidate; None: the newest.
        requests: file of rows, `-` for standard input, None for what the config says.
        why, who: for the record.

    Returns:
        What `attention release --json` prints.

    Raises:
        ConfigError: the command cannot be used so.
    """
    return _told(lambda: Release(config, workspace, who).run(version, _rows(requests), why))


def rollback(config: PipelineConfig, workspace: Workspace, version: int | None, why: str, who: str) -> dict[str, Any]:
    """Goes back and says on standard error to what.

    Args:
        config, workspace: of the pipeline.
        version: to go back to; None: undo the newest move.
        why, who: for the record.

    Returns:
        What `attention rollback --json` prints.

    Raises:
        ConfigError: there is nothing to go back to.
    """
    return _told(lambda: Release(config, workspace, who).rollback(version, why))


def push_canary(config: PipelineConfig, workspace: Workspace, version: int) -> str:
    """Labels what a run pushed, if servers are there.

    Returns:
        A sentence for the console.
    """
    try:
        outcome = Release(config, workspace).push_canary(version, "Pushed by a run.")
    except (RolloutError, StatusError, HistoryError, MetadataError) as error:
        return f"No label yet, `attention release` will give it: {error}"
    return f"Version {version} is {'stable' if outcome.verdict == 'promoted' else 'canary'} on the servers."


def serving_flags(config: PipelineConfig, workspace: Workspace) -> dict[str, Any]:
    """Flags of a server that knows the labels; none as long as no version is stable.

    Raises:
        ConfigError: the model config file cannot be read.
    """
    try:
        if STABLE not in labelled_versions(config, workspace):
            return {}
    except RolloutError as error:
        raise ConfigError(str(error)) from None
    return {
        "model_config_file": model_config_file(config, workspace).path,
        "model_base_path": "",
        "allow_version_labels_for_unavailable_models": True,
    }


def show(config: PipelineConfig, workspace: Workspace, limit: int, as_json: bool) -> None:
    """Prints the newest moves of labels.

    Raises:
        ConfigError: nothing ran in this workspace yet.
    """
    if config.metadata.type == "sqlite" and not workspace.metadata.exists():
        raise ConfigError(f"Nothing ran yet in {workspace.root}.")
    connection = connection_config(config.metadata, workspace.metadata)
    changes = ReleaseHistory(connection, config.name).changes()[:limit]
    if as_json:
        for change in changes:
            print(json.dumps(change.as_json(), ensure_ascii=False))
        return
    table = Table(Column("when", no_wrap=True), "action", "version", "state", "labels", "who", "why", box=None)
    for change in changes:
        table.add_row(*_cells(change))
    Console().print(table)


def _cells(change: Change) -> list[str]:
    when = change.when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    labels = f"{_labels(change.before)} → {_labels(change.after)}"
    return [when, change.action, str(change.version), change.state, labels, escape(change.who), escape(change.why)]


def _labels(labels: dict[str, int]) -> str:
    return ", ".join(f"{name} {version}" for name, version in labels.items()) or "none"


def _rows(requests: str | None) -> Iterable[Any] | None:
    if requests is None:
        return None
    if requests == "-":
        return rows_of_lines(sys.stdin)
    if not Path(requests).is_file():
        raise ConfigError(f"--requests: there is no file {requests}.")
    return read_rows(Path(requests))


def _told(ask: Callable[[], Outcome]) -> dict[str, Any]:
    """Runs a command; what can go wrong with servers and databases becomes the verdict `failed`."""
    started = time.monotonic()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        outcome = ask()
    except (RolloutError, PredictionError, StatusError, HistoryError, MetadataError) as error:
        outcome = Outcome("failed", None, str(error), {})
    seconds = time.monotonic() - started
    for gate in outcome.gates:
        mark = "[green]✓[/]" if gate.passed else "[red]✗[/]"
        console.print(f"{mark} {gate.name:<10} {escape(gate.why)}")
    told = f"{outcome.verdict.replace('_', ' ')}" + (f" version {outcome.version}" if outcome.version else "")
    console.print(f"[bold {COLOURS[outcome.verdict]}]{told}[/]: {escape(outcome.why)}")
    if outcome.labels:
        console.print(f"[dim]labels: {_labels(outcome.labels)}; {seconds:.1f} s[/]")
    return outcome.as_json() | {"seconds": round(seconds, 1)}
