"""A unit of work: a file, or a part of one, that a worker reads from start to end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from components.example_gen.dialect import Dialect
from components.example_gen.errors import InputDataError
from components.example_gen.files import local_copy
from components.example_gen.options import Format
from components.example_gen.readers.batch import Batch
from components.example_gen.readers.csv_reader import read_csv
from components.example_gen.readers.json_lines import read_json_lines
from components.example_gen.readers.parquet import read_parquet
from components.example_gen.readers.tfrecord import read_tfrecord
from components.example_gen.text_stream import open_text


@dataclass(frozen=True)
class Unit:
    """Everything that a worker needs to know to read its part; found out once, before any worker starts."""

    path: str
    name: str
    """The file's name in messages and quarantine: its path below the folder that all input files share."""
    format: Format
    compression: str | None
    columns: tuple[str, ...]
    """Columns that the file holds."""
    splits: tuple[tuple[str, int], ...] = ()
    """Splits that the rows are dealt out to, with their weights."""
    is_replay: bool = False
    """Whether only a share of the rows takes part, and only in train."""
    encoding: str = "utf-8"
    dialect: Dialect = field(default_factory=Dialect)
    row_groups: tuple[int, int] = (0, 0)
    rows_before: int = 0


def read_unit(unit: Unit, wanted: tuple[str, ...]) -> Iterator[Batch]:
    """Yields the wanted columns in batches, in the order of the file.

    Raises:
        InputDataError: the file is damaged in a way that hides where its rows are.
    """
    try:
        if unit.format == "csv":
            with open_text(unit.path, unit.compression, unit.encoding, unit.dialect.newline) as text:
                yield from read_csv(text, unit.dialect, wanted)
        elif unit.format == "jsonl":
            with open_text(unit.path, unit.compression, unit.encoding, "\n") as text:
                yield from read_json_lines(text, wanted)
        else:
            with local_copy(unit.path, unit.compression) as path:
                if unit.format == "parquet":
                    yield from read_parquet(path, wanted, *unit.row_groups, unit.rows_before)
                else:
                    yield from read_tfrecord(path, unit.name, wanted)
    except pa.ArrowException as error:
        raise InputDataError(f"`{unit.name}` is damaged or no sound {unit.format} file ({error}).") from error
