"""`attention schedule`: signals, processes and the real run around the scheduler's logic."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import ConfigError, PipelineConfig
from pipeline.schedule.decision import NO_TRIGGER
from pipeline.schedule.loop import Child, Loop, Stop
from pipeline.schedule.once import run_once
from pipeline.workspace import Workspace


def look_once(config: PipelineConfig, workspace: Workspace) -> dict[str, Any]:
    """One look and at most one run, in this process.

    Returns:
        What `attention schedule --once --json` prints.

    Raises:
        ConfigError: the config cannot be scheduled.
    """
    with Stop().on_signals(twice_raises=True) as stop:
        return run_once(config, workspace, _run, stopped=stop)


def _run(config: PipelineConfig, workspace: Workspace, stopped: Callable[[], bool]) -> dict[str, Any]:
    from pipeline import runs  # TFX takes seconds to import, and most looks find nothing

    return runs.run_and_tell(config, workspace, stopped=stopped)


def wait_and_run(config: PipelineConfig, workspace: Workspace, arguments: Sequence[str], as_json: bool) -> None:
    """Looks and waits until a signal comes; each run is a process of its own.

    Args:
        config, workspace: of the pipeline.
        arguments: of `attention` that lead to the same config and workspace. The config file is read again by each run.
        as_json: whether to print each run's line.

    Raises:
        ConfigError: no trigger is set.
    """
    if not config.schedule.triggers:
        raise ConfigError(NO_TRIGGER)
    command = [sys.executable, "-m", "pipeline.cli", "schedule", "--once", "--json", *arguments]
    with Stop().on_signals() as stop:
        Loop(config, workspace, Child(command, as_json)).run(stop)


def arguments(
    config: Path | None, data: Sequence[str], label: str | None, settings: Sequence[str], workspace: Path | None
) -> list[str]:
    """The command line that says which pipeline is meant, again."""
    words = [f"--data={each}" for each in data] + [f"--set={each}" for each in settings]
    words += [f"--label={label}"] if label is not None else []
    words += [f"--workspace={workspace}"] if workspace is not None else []
    return [*words, *(["--", str(config)] if config is not None else [])]
