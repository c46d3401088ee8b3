"""Tells how a CSV file is written from its first rows.

`csv.Sniffer` guesses from character counts and is often wrong on prose; here every dialect in question reads the
sample, and the one that finds the wanted columns and rows of equal length wins.
"""

import csv
import io
import itertools
import re
from dataclasses import dataclass
from typing import Any

_SAMPLE_ROWS = 500


@dataclass(frozen=True)
class Dialect:
    """How fields and rows are told apart."""

    delimiter: str = ","
    quotechar: str | None = '"'
    escapechar: str | None = None
    skipinitialspace: bool = False
    newline: str = "\n"

    def reader_arguments(self) -> dict[str, Any]:
        """The arguments of `csv.reader`."""
        return {
            "delimiter": self.delimiter,
            "quotechar": self.quotechar,
            "escapechar": self.escapechar,
            "skipinitialspace": self.skipinitialspace,
            "quoting": csv.QUOTE_NONE if self.quotechar is None else csv.QUOTE_MINIMAL,
        }


def sniff_dialect(sample: str, is_whole: bool, wanted: tuple[str, ...], delimiter: str | None, is_tsv: bool) -> Dialect:
    """Chooses the dialect that reads the sample best; of equals, the plainest.

    Args:
        sample: the decoded beginning of the file.
        is_whole: whether the sample is the whole file, so that its last row is complete.
        wanted: columns that the header should hold.
        delimiter: the user's word, if any.
        is_tsv: whether the file's name says that tabs divide the fields.
    """
    newline = "\r" if re.match(r'(?:"[^"]*"|[^"\r\n])*\r(?!\n)', sample) else "\n"
    delimiters = (delimiter,) if delimiter else ("\t", ",", ";", "|") if is_tsv else (",", "\t", ";", "|")
    quotechars: tuple[str | None, ...] = ("'", '"') if sample.startswith("'") else ('"',)
    best, best_score = Dialect(delimiters[0], newline=newline), (-1, False, -1.0)
    for mark in delimiters:
        unquoted = (None,) if _quotes_are_text(sample, mark) else ()
        # A backslash before a quote that closes a field proves nothing: `"C:\"` is a path.
        escapechars = (None, "\\") if re.search(rf'\\"[^"\r\n{re.escape(mark)}]', sample) else (None,)
        spaces = (False, True) if f'{mark} "' in sample else (False,)
        for quotechar, escapechar, skip in itertools.product((*quotechars, *unquoted), escapechars, spaces):
            candidate = Dialect(mark, quotechar, escapechar, skip, newline)
            score = _score(sample, is_whole, candidate, wanted)
            if score > best_score:
                best, best_score = candidate, score
    return best


def _quotes_are_text(sample: str, delimiter: str) -> bool:
    """Whether most quotes that begin a field do not enclose it: the file then does not quote at all."""
    begin, mark = f"(?:^|{re.escape(delimiter)})", re.escape(delimiter)
    opened = len(re.findall(f'{begin}"', sample, re.MULTILINE))
    enclosed = len(re.findall(f'{begin}"(?:[^"]|"")*"(?={mark}|\r|\n|\\Z)', sample, re.MULTILINE))
    return enclosed < 0.5 * opened


def _score(sample: str, is_whole: bool, dialect: Dialect, wanted: tuple[str, ...]) -> tuple[int, bool, float]:
    """Wanted columns found, whether there is more than one column, share of text in rows as long as the header."""
    text = sample.replace("\r\n", "\n").replace("\r", "\n" if dialect.newline == "\r" else " ")
    lines = list(io.StringIO(text, newline="\n"))
    reader = csv.reader(lines, **dialect.reader_arguments())
    rows: list[list[str]] = []
    starts = [0]
    try:
        for row in itertools.islice(reader, _SAMPLE_ROWS):
            rows.append(row)
            starts.append(reader.line_num)
    except csv.Error:
        return (-1, False, -1.0)
    if not is_whole and len(rows) > 1 and reader.line_num >= len(lines):
        del rows[-1], starts[-1]
    if not rows:
        return (-1, False, -1.0)
    header = [name.strip() for name in rows[0]]
    # By lines, not rows: a stray quote that swallows a hundred lines must not pass for one bad row.
    good = sum(
        after - before
        for row, before, after in zip(rows, starts, starts[1:], strict=False)
        if not row or len(row) == len(header)
    )
    share = good / max(1, starts[-1])
    return (len(set(wanted) & set(header)), len(header) > 1 and share > 0.5, share)
