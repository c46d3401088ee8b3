"""The rows of the splits as columns, for the gates that look at rows and not at statistics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.data_gate.report import shorten
from components.example_gen.split import normalize

MAX_ROWS = 500_000
"""Rows of a split that are looked at."""

CLASSES_SEPARATOR = "\x1f"
"""Between several classes of a row in its one string."""

_BATCH = 4096
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Table:
    """Rows of one split.

    Attributes:
        columns: name → string or double `(rows,)`; null is missing. Several classes of a row are one string.
        num_rows: how many there are here.
        whole: whether the split has no more.
    """

    columns: dict[str, pa.Array]
    num_rows: int
    whole: bool = True

    def describe(self, row: int, first: str = "") -> str:
        """One row as `name=value` pairs, the named column first."""
        names = sorted(self.columns, key=lambda name: name != first)
        return ", ".join(f"{name}={_show(self.columns[name][row].as_py())}" for name in names)


def read_table(files: list[str], types: Mapping[str, str], max_rows: int = MAX_ROWS) -> Table:
    """Reads columns out of gzipped TFRecords of tf.Example.

    Args:
        files: of one split.
        types: column → `number`; anything else is text.
        max_rows: where to stop.
    """
    return _joined(list(read_pieces(files, types, max_rows)), types)


def read_pieces(files: list[str], types: Mapping[str, str], max_rows: int = MAX_ROWS) -> Iterator[Table]:
    """As `read_table`, a few thousand rows at a time; the last piece tells whether the split has more."""
    decoder, num_rows = ExamplesToRecordBatchDecoder(), 0
    for batch in _batches(files, max_rows + 1):
        wanted = batch[: max_rows - num_rows]
        num_rows += len(wanted)
        yield _decode(decoder, wanted, types, whole=len(wanted) == len(batch))


def read_rows(files: list[str], types: Mapping[str, str], rows: np.ndarray) -> Table:
    """As `read_table`, only some rows.

    Args:
        files: of one split.
        types: column → `number`; anything else is text.
        rows: int64 `(rows,)`, ascending: which.
    """
    decoder, start, pieces = ExamplesToRecordBatchDecoder(), 0, []
    for batch in _batches(files, int(rows[-1]) + 1 if len(rows) else 0):
        first, last = np.searchsorted(rows, [start, start + len(batch)])
        if last > first:
            pieces.append(_decode(decoder, batch[rows[first:last] - start], types))
        start += len(batch)
    return _joined(pieces, types)


def _batches(files: list[str], max_rows: int) -> Iterator[np.ndarray]:
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").take(max_rows).batch(_BATCH)
    return records.as_numpy_iterator()


def _decode(
    decoder: ExamplesToRecordBatchDecoder, records: np.ndarray, types: Mapping[str, str], whole: bool = True
) -> Table:
    decoded = decoder.DecodeBatch(records.tolist())
    columns = {}
    for name, kind in types.items():
        place = decoded.schema.get_field_index(name)
        values = decoded.column(place) if place >= 0 else pa.nulls(decoded.num_rows)
        columns[name] = _one_value(values, kind)
    return Table(columns, decoded.num_rows, whole)


def _joined(pieces: list[Table], types: Mapping[str, str]) -> Table:
    if not pieces:
        empty = {"number": pa.float64()}
        return Table({name: pa.array([], empty.get(kind, pa.string())) for name, kind in types.items()}, 0)
    columns = {name: pa.concat_arrays([piece.columns[name] for piece in pieces]) for name in types}
    return Table(columns, sum(piece.num_rows for piece in pieces), all(piece.whole for piece in pieces))


def _one_value(values: pa.Array, kind: str) -> pa.Array:
    """A row's list of values → its value: the only one, or all of them in one text."""
    dtype = pa.float64() if kind == "number" else pa.string()
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), dtype)
    flat = values.flatten()
    if pa.types.is_large_binary(flat.type) or pa.types.is_binary(flat.type):
        texts = [each.decode("utf-8", "replace") for each in flat.to_pylist()]
        flat = pa.array(texts, pa.string())
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    if kind == "categories" and (lengths > 1).any():
        names = flat.to_pylist()
        joined = (
            CLASSES_SEPARATOR.join(sorted(names[start : start + length]))
            for start, length in zip(starts, lengths, strict=True)
        )
        return pa.array([each or None for each in joined], dtype)
    if kind != "number" and not pa.types.is_string(flat.type):
        flat = flat.cast(dtype)
    if kind == "number" and pa.types.is_string(flat.type):
        return pa.nulls(len(values), dtype)  # the schema's gate tells of it
    at = pa.array(starts, mask=lengths == 0)
    return flat.take(at).cast(dtype)


def row_keys(table: Table, types: Mapping[str, str]) -> pa.Array:
    """What rows say, so that equal ones are equal strings: case, white space and Unicode's spellings do not count.

    Args:
        table: of one split.
        types: the columns that count.

    Returns:
        string `(rows,)`.
    """
    parts = [
        table.columns[name].cast(pa.string()) if kind == "number" else normalize(table.columns[name])
        for name, kind in types.items()
    ]
    return pc.binary_join_element_wise(*parts, _SEPARATOR, null_handling="replace", null_replacement="")


def _show(value: str | float | None) -> str:
    if value is None:
        return "(missing)"
    return shorten(repr(value.replace(CLASSES_SEPARATOR, " | ")), 60) if isinstance(value, str) else f"{value:g}"
