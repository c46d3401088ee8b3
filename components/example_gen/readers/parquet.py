"""Reads Parquet: a unit is a run of row groups, so that one large file is read by many workers."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.example_gen.errors import InputDataError
from components.example_gen.readers.batch import MAX_BATCH_BYTES, MAX_BATCH_ROWS, Batch

ROWS_PER_UNIT = 250_000


def row_group_runs(metadata: pq.FileMetaData) -> list[tuple[int, int, int]]:
    """Cuts a file into runs of at least `ROWS_PER_UNIT` rows: (first row group, row group behind the last, row)."""
    runs, start, row, rows = [], 0, 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS_PER_UNIT or group == metadata.num_row_groups - 1:
            runs.append((start, group + 1, row))
            start, row, rows = group + 1, row + rows, 0
    return runs


def check_types(schema: pa.Schema, wanted: tuple[str, ...], path: str) -> None:
    """Refuses columns whose cells hold more than one value.

    Raises:
        InputDataError: a wanted column is a list, a struct or a map.
    """
    for name in wanted:
        if pa.types.is_nested(schema.field(name).type):
            raise InputDataError(
                f"Column `{name}` of `{path}` must hold one value a row. Received: {schema.field(name).type}"
            )


def read_parquet(path: str, wanted: tuple[str, ...], first: int, last: int, row: int) -> Iterator[Batch]:
    """Yields the wanted columns of row groups `first` to `last` (without it); `row` rows stand before them."""
    with pq.ParquetFile(path, buffer_size=1 << 20) as file:
        columns = [name for name in wanted if name in file.schema_arrow.names]
        groups = [file.metadata.row_group(group) for group in range(first, last)]
        row_bytes = sum(group.total_byte_size for group in groups) / max(1, sum(group.num_rows for group in groups))
        batch_rows = int(min(MAX_BATCH_ROWS, max(1, MAX_BATCH_BYTES // max(1, row_bytes))))
        for group in range(first, last):
            for batch in file.iter_batches(batch_rows, row_groups=[group], columns=columns, use_threads=False):
                arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
                rows = np.arange(row + 1, row + 1 + batch.num_rows, dtype=np.int64)
                row += batch.num_rows
                yield Batch(arrays, rows, None, functools.partial(_raw, batch))


def _raw(batch: pa.RecordBatch, at: int) -> dict[str, Any]:
    return batch.slice(at, 1).to_pylist()[0]
