"""Looks at every input file once and cuts the work into units, so that a wrong input is told before any work."""

import itertools
import logging
import os
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen.dialect import Dialect, sniff_dialect
from components.example_gen.errors import InputDataError
from components.example_gen.files import compression_of, local_copy, open_bytes
from components.example_gen.options import ExampleGenOptions, Format
from components.example_gen.readers.csv_reader import read_header
from components.example_gen.readers.json_lines import json_keys
from components.example_gen.readers.parquet import check_types, row_group_runs
from components.example_gen.readers.tfrecord import read_tfrecord
from components.example_gen.text_stream import decode, open_text, sniff_encoding
from components.example_gen.units import Unit

SAMPLE_BYTES = 256 << 10
JSON_SAMPLE_ROWS = 10_000
"""A JSON key that comes up later than this counts as a column that does not exist."""

_BY_NAME: dict[Format, str] = {
    "parquet": r"\.(parquet|pq)\b",
    "tfrecord": r"tfrecords?\b",
    "jsonl": r"\.(jsonl|ndjson|json)\b",
    "csv": r"\.(csv|tsv|tab|txt)\b",
}
_logger = logging.getLogger("attention")


def data_files(paths: Sequence[str]) -> list[str]:
    """Leaves out what lies beside data in a folder: hidden files, markers such as `_SUCCESS`, notes."""
    paths = sorted(
        path for path in paths if os.path.basename(path)[:1] not in ("", ".", "_") and not os.path.isdir(path)
    )
    known = [path for path in paths if _format_by_name(path)]
    if not known:
        return paths
    for path in paths:
        if path not in known:
            _logger.warning("ExampleGen leaves out `%s`: its name is not that of a table.", path)
    return known


def plan_files(
    paths: Sequence[str], folder: str, options: ExampleGenOptions, splits: tuple[tuple[str, int], ...] = ()
) -> list[Unit]:
    """Cuts files into units; an empty one is left out, and that is logged.

    Args:
        paths: of the files.
        folder: that they share; messages and quarantine name a file by its path below it.
        options: how the table is written, and which columns are wanted.
        splits: that the rows are dealt out to, with their weights.

    Raises:
        InputDataError: as of `plan_file`.
    """
    units = []
    for path in paths:
        planned = plan_file(
            path,
            path.removeprefix(folder).lstrip("/"),
            options.used_columns(),
            format=options.format,
            encoding=options.encoding,
            delimiter=options.delimiter,
            splits=splits,
        )
        if not planned:
            _logger.warning("ExampleGen leaves out `%s`: it is empty.", path)
        units += planned
    return units


def plan_file(
    path: str,
    name: str,
    wanted: tuple[str, ...],
    *,
    format: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    splits: tuple[tuple[str, int], ...] = (),
) -> list[Unit]:
    """Finds out how a file is written, checks that it holds the wanted columns, and cuts it into units.

    Returns:
        The units; none if the file is empty.

    Raises:
        InputDataError: a column is missing or named twice, or the file is damaged.
    """
    try:
        compression = compression_of(path)
        with open_bytes(path, compression) as stream:
            head = stream.read(SAMPLE_BYTES)
        if not head.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
            return []
        format = format or _detect_format(name, head)
        unit = Unit(path, name, format, compression, (), splits)
        if format == "parquet":
            units = _plan_parquet(unit, wanted)
        elif format == "tfrecord":
            units = [_with(unit, columns=_tfrecord_columns(unit))]
        elif format == "jsonl":
            units = [_plan_json_lines(unit, head, encoding)]
        else:
            units = [_plan_csv(unit, head, wanted, encoding, delimiter)]
    except (pa.ArrowException, UnicodeError) as error:
        raise InputDataError(f"`{name}` is damaged or not what it seems ({error}).") from error
    for unit in units[:1]:
        _check_columns(unit, wanted)
    return units


def _with(unit: Unit, **changes: object) -> Unit:
    return Unit(**{**vars(unit), **changes})


def _format_by_name(path: str) -> Format | None:
    name = os.path.basename(path).lower()
    return next((format for format, pattern in _BY_NAME.items() if re.search(pattern, name)), None)


def _detect_format(name: str, head: bytes) -> Format:
    if head.startswith(b"PAR1"):
        return "parquet"
    named = _format_by_name(name)
    if named is None or named == "parquet":
        return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else "csv"
    return named


def _plan_parquet(unit: Unit, wanted: tuple[str, ...]) -> list[Unit]:
    with local_copy(unit.path, unit.compression) as path, pq.ParquetFile(path) as file:
        unit = _with(unit, columns=tuple(file.schema_arrow.names))
        _check_columns(unit, wanted)
        check_types(file.schema_arrow, wanted, unit.name)
        # A compressed file would be decompressed once for each unit.
        runs = row_group_runs(file.metadata) if unit.compression is None else [(0, file.metadata.num_row_groups, 0)]
    return [_with(unit, row_groups=(first, last), rows_before=row) for first, last, row in runs]


def _tfrecord_columns(unit: Unit) -> tuple[str, ...]:
    with local_copy(unit.path, unit.compression) as path:
        first = next(read_tfrecord(path, unit.name, None), None)
    return () if first is None else tuple(first.columns)


def _plan_json_lines(unit: Unit, head: bytes, encoding: str | None) -> Unit:
    encoding = sniff_encoding(head, encoding)
    if decode(head, encoding).lstrip("\ufeff \t\r\n").startswith("["):
        raise InputDataError(
            f"`{unit.name}` is one JSON array; one object a line is wanted: `jq -c '.[]' FILE > FILE.jsonl`"
        )
    with open_text(unit.path, unit.compression, encoding, "\n") as text:
        return _with(unit, encoding=encoding, columns=tuple(json_keys(text, JSON_SAMPLE_ROWS)))


def _plan_csv(unit: Unit, head: bytes, wanted: tuple[str, ...], encoding: str | None, delimiter: str | None) -> Unit:
    encoding = sniff_encoding(head, encoding)
    sample = decode(head, encoding)
    is_tsv = re.search(r"\.(tsv|tab)\b", unit.name.lower()) is not None
    dialect: Dialect = sniff_dialect(sample, len(head) < SAMPLE_BYTES, wanted, delimiter, is_tsv)
    lines = (line + dialect.newline for line in sample.split(dialect.newline))
    header = read_header(lines, dialect)
    return _with(unit, encoding=encoding, dialect=dialect, columns=tuple(header))


def _check_columns(unit: Unit, wanted: tuple[str, ...]) -> None:
    named = [name for name in unit.columns if name]
    twice = sorted(name for name, again in itertools.groupby(sorted(named)) if len(list(again)) > 1)
    columns = ", ".join(f"`{name}`" for name in named) or "none"
    if twice:
        raise InputDataError(
            f"The header of `{unit.name}` names columns twice: {', '.join(twice)}. Received: {columns}"
        )
    missing = [name for name in wanted if name not in named]
    if missing:
        raise InputDataError(
            f"`{unit.name}` has no column {', '.join(f'`{name}`' for name in missing)}. Its columns are: {columns}"
        )
