"""Reads CSV row by row, so that every bad row is known by number, line and raw text.

Python's parser in C gives 340,000 rows a second, far more than encoding and compressing take in; Arrow's own CSV
reader is faster still, but does not say where a row with embedded line ends began, nor go on after a broken quote.
"""

import csv
import sys
from collections.abc import Iterator
from itertools import islice

from components.example_gen.dialect import Dialect
from components.example_gen.readers.batch import Batch, RowBuffer

MAX_ROW_CHARS = 64 << 20
"""A row longer than this has lost its closing quote: without a limit it would swallow the rest of the file."""

_CHUNK_LINES = 2048
_CHUNK_CHARS = 4 << 20
_STAND_IN = "\ud80d"
"""Stands for a line end that does not end a line here; a lone surrogate, which decoded text never holds."""

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


class _Lines:
    """Lines of a text that were taken but do not belong to a whole row yet."""

    def __init__(self, text: Iterator[str], newline: str) -> None:
        self._text = text
        self._other = "\r" if newline == "\n" else "\n"
        self.pending: list[str] = []
        self.first_line = 1
        """Number of the first pending line."""
        self.is_whole = False
        """Whether nothing is left behind the pending lines."""

    def more(self) -> None:
        """Takes more lines; the more are pending the more, so that a long row is not parsed over and over."""
        size = 0
        limit = max(_CHUNK_CHARS, sum(map(len, self.pending)))
        for line in islice(self._text, max(_CHUNK_LINES, len(self.pending))):
            self.pending.append(line)
            size += len(line)
            if size >= limit:
                return
        self.is_whole = size == 0

    def drop(self, count: int) -> None:
        del self.pending[:count]
        self.first_line += count

    def masked(self) -> tuple[list[str], bool]:
        """The pending lines with stand-ins for line ends of the other kind, which the parser would refuse.

        Returns:
            The lines, and whether there are stand-ins in them.
        """
        other = self._other
        if not any(line.find(other, 0, -2) >= 0 for line in self.pending):
            return self.pending, False
        return [line[:-2].replace(other, _STAND_IN) + line[-2:] for line in self.pending], True

    def restore(self, fields: list[str]) -> list[str]:
        return [field.replace(_STAND_IN, self._other) for field in fields]


def read_header(text: Iterator[str], dialect: Dialect) -> list[str]:
    """The column names of the first row, without the white space around them; empty for an empty file."""
    for fields, _, _ in _rows(_Lines(text, dialect.newline), dialect):
        if isinstance(fields, list):
            return _names(fields)
    return []


def read_csv(text: Iterator[str], dialect: Dialect, wanted: tuple[str, ...]) -> Iterator[Batch]:
    """Yields the wanted columns of a CSV text that begins with its header; blank lines are no rows."""
    num_fields = 0
    places: list[int] = []
    buffer = RowBuffer(wanted)
    row = 0
    for fields, line, raw in _rows(_Lines(text, dialect.newline), dialect):
        if not num_fields and isinstance(fields, list):
            num_fields = len(fields)
            places = [_names(fields).index(name) for name in wanted]
            continue
        row += 1
        if isinstance(fields, csv.Error):
            buffer.refuse(row, line, "broken_quotes", {"received": str(fields)}, raw)
        elif len(fields) != num_fields:
            detail = {"expected": num_fields, "received": len(fields)}
            buffer.refuse(row, line, "wrong_field_count", detail, raw)
        else:
            buffer.add([fields[place] for place in places], raw, row, line)
        if buffer.is_full():
            yield buffer.flush()
    if buffer.values or buffer.bad:
        yield buffer.flush()


def _names(fields: list[str]) -> list[str]:
    return [name.strip().lstrip("\ufeff") for name in fields]


def _rows(lines: _Lines, dialect: Dialect) -> Iterator[tuple[list[str] | csv.Error, int, str]]:
    """Yields the fields, first line and raw text of every row; an error for a line with a broken quote.

    The parser gets many lines at once. Where it fails, either the row goes on behind them, and it is parsed again with
    more, or its quotes are broken, which costs its first line: the next row is sought from the second line on.
    """
    arguments = {**dialect.reader_arguments(), "strict": True}
    lines.more()
    while lines.pending:
        pending = lines.pending
        masked, has_stand_in = lines.masked()
        start = 0
        while start < len(pending):
            base = start
            reader = csv.reader(islice(masked, start, None), **arguments)
            try:
                for fields in reader:
                    end = base + reader.line_num
                    if fields:
                        raw = pending[start] if end == start + 1 else "".join(pending[start:end])
                        yield lines.restore(fields) if has_stand_in else fields, lines.first_line + start, raw
                    start = end
            except csv.Error as error:
                goes_on = base + reader.line_num == len(pending) and not lines.is_whole
                if goes_on and sum(map(len, pending[start:])) <= MAX_ROW_CHARS:
                    break
                yield error, lines.first_line + start, pending[start]
                start += 1
        lines.drop(start)
        lines.more()
