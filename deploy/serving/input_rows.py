"""Reads what a person wants predicted: lines of text, JSON Lines, or a table with a header."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from deploy.serving.rows import Row

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def is_table(file: Path) -> bool:
    """Whether a file has a header with columns."""
    return file.suffix.lower() in _DELIMITERS


def read_rows(file: Path) -> Iterator[Any]:
    """Reads a file by its suffix: `.csv` and `.tsv` by their header, everything else line by line.

    Returns:
        Dicts by feature for a table, else what `rows_of_lines` makes of the lines.

    Raises:
        ValueError: A line cannot be read.
    """
    with file.open(encoding="utf-8-sig", newline="") as stream:
        if is_table(file):
            for record in csv.DictReader(stream, delimiter=_DELIMITERS[file.suffix.lower()]):
                yield {feature_name(column): value for column, value in record.items() if column}
        else:
            yield from rows_of_lines(stream)


def rows_of_lines(lines: Iterable[str]) -> Iterator[Row]:
    """One row per line that is not empty: a JSON object by feature, or a plain text.

    Raises:
        ValueError: A line begins like a JSON object and is none.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if not text.startswith("{"):
            yield text
            continue
        try:
            yield json.loads(text)
        except ValueError as error:
            raise ValueError(f"Line {number} begins like a JSON object, but is none: {error}") from error


def feature_name(column: str) -> str:
    """The feature of a table's column: `Review Text` is `review_text`."""
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
