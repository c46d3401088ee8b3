"""What every reader yields: Arrow columns, where each row came from, and the rows that could not be read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from components.example_gen.text_stream import is_damaged

MAX_BATCH_ROWS = 4096
MAX_BATCH_BYTES = 16 << 20
"""A batch ends at whichever comes first, so that memory stays flat for long texts too."""

Reason = Literal[
    "wrong_field_count",
    "broken_quotes",
    "undecodable",
    "invalid_json",
    "invalid_example",
    "not_a_single_value",
    "missing_label",
    "missing_value",
    "not_a_number",
    "empty_text",
]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used."""

    row: int
    """Number of the data row in its file, from 1."""
    line: int | None
    """Line on which the row starts, from 1 and with the header; None where the format has no lines."""
    reason: Reason
    detail: dict[str, Any]
    raw: Any
    """The row as it stood: its text, or its values by column."""


@dataclass(frozen=True)
class Batch:
    """Some rows of one file."""

    columns: dict[str, pa.Array]
    """Column of the table → values; a column that no row of the batch has may be absent."""
    rows: np.ndarray
    """int64 `(rows,)`: number of each data row in its file, from 1."""
    lines: np.ndarray | None
    """int64 `(rows,)`: line on which each row starts; None where the format has no lines."""
    raw: Callable[[int], Any]
    """Gives the raw row at a position of the batch."""
    bad: list[BadRow] = field(default_factory=list)
    """Rows between the others that could not be read; they have no place in `columns`."""


@dataclass
class RowBuffer:
    """Gathers rows of text values until they fill a batch."""

    names: Sequence[str]
    values: list[Sequence[str | None]] = field(default_factory=list)
    raws: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    size: int = 0

    def add(self, values: Sequence[str | None], raw: str, row: int, line: int) -> None:
        self.values.append(values)
        self.raws.append(raw)
        self.rows.append(row)
        self.lines.append(line)
        self.size += len(raw)

    def refuse(self, row: int, line: int, reason: Reason, detail: dict[str, Any], raw: str) -> None:
        self.bad.append(BadRow(row, line, reason, detail, raw))
        self.size += len(raw)

    def is_full(self) -> bool:
        return len(self.values) + len(self.bad) >= MAX_BATCH_ROWS or self.size >= MAX_BATCH_BYTES

    def flush(self) -> Batch:
        """Gives the gathered rows as a batch and starts anew."""
        try:
            columns = self._columns()
        except UnicodeEncodeError:
            self._refuse_damaged()
            columns = self._columns()
        raws = self.raws
        batch = Batch(
            columns, np.array(self.rows, np.int64), np.array(self.lines, np.int64), lambda at: raws[at], self.bad
        )
        self.values, self.raws, self.rows, self.lines, self.bad, self.size = [], [], [], [], [], 0
        return batch

    def _columns(self) -> dict[str, pa.Array]:
        by_column = zip(*self.values, strict=True) if self.values else [()] * len(self.names)
        return {name: pa.array(values, pa.large_string()) for name, values in zip(self.names, by_column, strict=True)}

    def _refuse_damaged(self) -> None:
        """Moves the rows whose values hold undecodable bytes to the bad ones."""
        kept = []
        for at, values in enumerate(self.values):
            damaged = next((name for name, value in zip(self.names, values, strict=True) if _damaged(value)), None)
            if damaged is None:
                kept.append(at)
            else:
                self.bad.append(
                    BadRow(self.rows[at], self.lines[at], "undecodable", {"column": damaged}, self.raws[at])
                )
        for name in ("values", "raws", "rows", "lines"):
            gathered = getattr(self, name)
            setattr(self, name, [gathered[at] for at in kept])


def _damaged(value: str | None) -> bool:
    return value is not None and is_damaged(value)
