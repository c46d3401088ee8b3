"""What a run ran on: taken down while it runs, for later nobody knows."""

import importlib.metadata
import os
import platform
from pathlib import Path

from pipeline.report.facts import EnvironmentFact

FILE_NAME = "environment.json"


def current() -> EnvironmentFact:
    """This process's Python, platform and packages."""
    packages = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
    return EnvironmentFact(
        python=platform.python_version(),
        platform=platform.platform(),
        processors=os.cpu_count(),
        packages=dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    )


def record(folder: Path) -> EnvironmentFact:
    """Writes it down beside the run's log."""
    found = current()
    (folder / FILE_NAME).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return found


def recorded(folder: Path) -> EnvironmentFact | None:
    """What was written down at the end of a run; None if nothing was."""
    path = folder / FILE_NAME
    return EnvironmentFact.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None
