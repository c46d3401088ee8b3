"""Reads TFRecord files of tf.Example."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import message

from components.example_gen.errors import InputDataError
from components.example_gen.readers.batch import MAX_BATCH_BYTES, MAX_BATCH_ROWS, BadRow, Batch


def read_tfrecord(path: str, name: str, wanted: tuple[str, ...] | None) -> Iterator[Batch]:
    """Yields the wanted features of an uncompressed TFRecord file; all of them for None.

    Raises:
        InputDataError: the file's framing or a checksum is broken, so that nothing behind it can be read.
    """
    row = 0
    for records in _records(path, name):
        yield _decode(records, row, wanted)
        row += len(records)


def _records(path: str, name: str) -> Iterator[list[bytes]]:
    import tensorflow as tf  # Only this format needs TensorFlow for reading.

    records: list[bytes] = []
    size = done = 0
    try:
        for some in tf.data.TFRecordDataset(path).batch(32).as_numpy_iterator():
            records.extend(some)
            size += sum(map(len, some))
            if len(records) >= MAX_BATCH_ROWS or size >= MAX_BATCH_BYTES:
                yield records
                done, records, size = done + len(records), [], 0
    except tf.errors.DataLossError as error:
        raise InputDataError(
            f"`{name}` is no sound TFRecord file: it breaks off after about {done + len(records)} records "
            f"({error.message})."
        ) from error
    if records:
        yield records


def _decode(records: list[bytes], before: int, wanted: tuple[str, ...] | None) -> Batch:
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    rows = np.arange(before + 1, before + 1 + len(records), dtype=np.int64)
    bad: list[BadRow] = []
    try:
        decoded = ExamplesToRecordBatchDecoder().DecodeBatch(records)
    except RuntimeError:
        decoded, rows, bad = _decode_one_by_one(records, rows)
    lists = {
        name: column
        for name, column in zip(decoded.schema.names, decoded.columns, strict=True)
        if (wanted is None or name in wanted) and not pa.types.is_null(column.type)
    }
    return _single_values(lists, rows, bad)


def _decode_one_by_one(records: list[bytes], rows: np.ndarray) -> tuple[pa.RecordBatch, np.ndarray, list[BadRow]]:
    """The slow path, for records that are no tf.Example or hold one feature as now this, now that type."""
    import tensorflow as tf

    sound: list[dict[str, list[bytes]]] = []
    kept, bad = [], []
    for row, record in zip(rows.tolist(), records, strict=True):
        try:
            features = tf.train.Example.FromString(record).features.feature
        except message.DecodeError as error:
            bad.append(BadRow(row, None, "invalid_example", {"received": str(error)}, record.hex()))
        else:
            kept.append(row)
            sound.append({name: _as_bytes(feature) for name, feature in features.items()})
    names = sorted({name for values in sound for name in values})
    columns = [pa.array([values.get(name) for values in sound], pa.list_(pa.binary())) for name in names]
    return pa.RecordBatch.from_arrays(columns, names), np.array(kept, np.int64), bad


def _as_bytes(feature: Any) -> list[bytes]:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    return list(values) if kind == "bytes_list" else [f"{value:.9g}".encode() for value in values]


def _single_values(lists: dict[str, pa.Array], rows: np.ndarray, bad: list[BadRow]) -> Batch:
    """Unpacks lists of one value; rows with longer ones are bad."""
    kept = np.ones(len(rows), bool)
    for name, column in lists.items():
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        for at in np.flatnonzero(kept & (lengths > 1)):
            detail = {"column": name, "received": f"{lengths[at]} values"}
            bad.append(BadRow(int(rows[at]), None, "not_a_single_value", detail, _raw(lists, int(at))))
        kept &= lengths <= 1
    lists = {name: column.filter(pa.array(kept)) for name, column in lists.items()}
    columns = {}
    for name, column in lists.items():
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        places = np.where(lengths == 1, np.cumsum(lengths) - 1, -1)
        columns[name] = column.flatten().take(pa.array(places, mask=places < 0))
    return Batch(columns, rows[kept], None, lambda at: _raw(lists, at), bad)


def _raw(lists: dict[str, pa.Array], at: int) -> dict[str, Any]:
    return {name: column[at].as_py() for name, column in lists.items()}
