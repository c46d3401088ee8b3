"""What the input holds now: files with size and time, and their rows; so that new data is known without reading old."""

import os
from typing import Any

from pydantic import BaseModel, ConfigDict

from components.example_gen.errors import InputDataError
from components.example_gen.files import is_remote, matching_files
from components.example_gen.inputs import Paths, resolve_inputs
from components.example_gen.plan import data_files, plan_file
from components.example_gen.units import read_unit
from pipeline.config import PipelineConfig

CLOCK_SKEW_SECONDS = 3600.0


class FileMark(BaseModel):
    """By what a file is known: a file of another size or time is a changed one, as for TFX."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    modified: float
    rows: int | None = None
    """How many it holds, where rows are counted; -1: it cannot be read."""

    def is_same(self, other: "FileMark | None") -> bool:
        return other is not None and (self.size, self.modified) == (other.size, other.modified)


Files = dict[str, FileMark]


def look(config: PipelineConfig) -> Files:
    """The files that a run would read.

    Args:
        config: without spans; see `pipeline.spans.with_files`.

    Returns:
        Path → mark.

    Raises:
        InputDataError: nothing is there.
    """
    files, first = _matching(config.data.input)
    if not files:
        raise InputDataError(f"No data file matches `{first}`.")
    return files


def files_of(paths: Paths) -> Files:
    """The files of some paths; there may be none."""
    try:
        return _matching(paths)[0]
    except InputDataError:
        return {}


def _matching(paths: Any) -> tuple[Files, str]:
    """The files, and the first of the patterns."""
    base, patterns = resolve_inputs(paths)
    files: Files = {}
    for _, pattern in patterns:
        for path in data_files(matching_files(os.path.join(base, pattern))):
            files[path] = _mark(path)
    return dict(sorted(files.items())), os.path.join(base, patterns[0][1])


def _mark(path: str) -> FileMark:
    if not is_remote(path):
        status = os.stat(path)
        return FileMark(size=status.st_size, modified=status.st_mtime)
    from tfx.dsl.io import fileio

    remote = fileio.stat(path)
    return FileMark(size=remote.length, modified=remote.mtime_nsec / 1e9)


def changed(now: Files, before: Files) -> list[str]:
    """Paths that are new or have changed. One that is gone alone is nothing new."""
    return [path for path, mark in now.items() if not mark.is_same(before.get(path))]


def with_rows(now: Files, before: Files, config: PipelineConfig) -> Files:
    """Counts the rows of each file that is not counted yet.

    Args:
        now: what is there.
        before: marks of earlier looks, whose counts hold for the files that are still the same.
        config: says how tables are written.
    """
    counted = {}
    for path, mark in now.items():
        known = before.get(path)
        same = known is not None and known.rows is not None and mark.is_same(known)
        rows = known.rows if same and known is not None else _rows(path, config)
        counted[path] = mark.model_copy(update={"rows": rows})
    return counted


def new_rows(now: Files, before: Files) -> int | None:
    """Rows of new files and those that came to old ones; None: a new or changed file cannot be read."""
    total = 0
    for path in changed(now, before):
        rows = now[path].rows
        if rows is None or rows < 0:
            return None
        known = before.get(path)
        total += max(0, rows - max(0, (known.rows or 0) if known else 0))
    return total


def _rows(path: str, config: PipelineConfig) -> int:
    data = config.data
    wanted = tuple(dict.fromkeys(each.column for each in (*config.features.values(), *config.heads.values())))
    try:
        units = plan_file(
            path, os.path.basename(path), wanted, format=data.format, encoding=data.encoding, delimiter=data.delimiter
        )
        return sum(len(batch.rows) + len(batch.bad) for unit in units for batch in read_unit(unit, wanted[-1:]))
    except (InputDataError, OSError):
        return -1
