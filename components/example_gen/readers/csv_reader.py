"""Reads CSV row by row, so that every bad row is known by number, line and raw text.

Python's parser in C gives 340,000 rows a second, far more than encoding and compressing take in; Arrow's own CSV
reader is faster still, but does not say where a row with embedded line ends began, nor go on after a broken quote.
"""

import csv
import sys
from collections import deque
from collections.abc import Iterator

from components.example_gen.dialect import Dialect
from components.example_gen.readers.batch import Batch, RowBuffer

MAX_ROW_CHARS = 64 << 20
"""A row longer than this has lost its closing quote: without a limit it would swallow the rest of the file."""

_STAND_IN = "\ud80d"
"""Stands for a line end that does not end a line here; a lone surrogate, which decoded text never holds."""

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


class _Lines:
    """Feeds lines to the parser, keeps those of the current row, and takes them back after a broken quote."""

    def __init__(self, lines: Iterator[str], newline: str) -> None:
        self._lines = lines
        self._returned: deque[str] = deque()
        self._other = "\r" if newline == "\n" else "\n"
        self._row_chars = 0
        self.row: list[str] = []
        self.has_stand_in = False
        self.next_line = 1

    def start_row(self) -> int:
        """Forgets the last row; returns the number of the line on which the next one starts."""
        self.row.clear()
        self._row_chars = 0
        self.has_stand_in = False
        return self.next_line

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.row.append(line)
        self.next_line += 1
        self._row_chars += len(line)
        if self._row_chars > MAX_ROW_CHARS and len(self.row) > 1:
            raise csv.Error(f"no closing quote within {MAX_ROW_CHARS} characters")
        if line.find(self._other, 0, -2) >= 0:
            self.has_stand_in = True
            return line[:-2].replace(self._other, _STAND_IN) + line[-2:]
        return line

    def keep_first(self) -> str:
        """Takes the current row's lines back but for the first, which is returned."""
        self._returned.extendleft(reversed(self.row[1:]))
        self.next_line -= len(self.row) - 1
        return self.row[0]

    def restore(self, fields: list[str]) -> list[str]:
        return [field.replace(_STAND_IN, self._other) for field in fields]


def read_header(text: Iterator[str], dialect: Dialect) -> list[str]:
    """The column names of the first row, without the white space around them; empty for an empty file."""
    for row in csv.reader(_Lines(text, dialect.newline), **dialect.reader_arguments()):
        if row:
            return [name.strip().lstrip("\ufeff") for name in row]
    return []


def read_csv(text: Iterator[str], dialect: Dialect, wanted: tuple[str, ...]) -> Iterator[Batch]:
    """Yields the wanted columns of a CSV text that begins with its header; blank lines are no rows."""
    lines = _Lines(text, dialect.newline)
    arguments = {**dialect.reader_arguments(), "strict": True}
    reader = csv.reader(lines, **arguments)
    header: list[str] | None = None
    places: list[int] = []
    buffer = RowBuffer(wanted)
    row = 0
    while True:
        line = lines.start_row()
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            row += 1
            buffer.refuse(row, line, "broken_quotes", {"received": str(error)}, lines.keep_first())
            reader = csv.reader(lines, **arguments)
            continue
        if not fields:
            continue
        if header is None:
            header = [name.strip().lstrip("\ufeff") for name in fields]
            places = [header.index(name) for name in wanted]
            continue
        row += 1
        raw = lines.row[0] if len(lines.row) == 1 else "".join(lines.row)
        if len(fields) != len(header):
            detail = {"expected": len(header), "received": len(fields)}
            buffer.refuse(row, line, "wrong_field_count", detail, raw)
        else:
            if lines.has_stand_in:
                fields = lines.restore(fields)
            buffer.add([fields[place] for place in places], raw, row, line)
        if buffer.is_full():
            yield buffer.flush()
    if buffer.values or buffer.bad:
        yield buffer.flush()
