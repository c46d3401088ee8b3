"""Turns columns into features and sorts out the rows that cannot be used."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.options import ExampleGenOptions, LabelOptions
from components.example_gen.readers.batch import BadRow, Batch, Reason

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NO_NUMBER = pa.array(["nan", "na", "n/a", "null", "none"], pa.large_string())
_RECEIVED_CHARS = 200


@dataclass(frozen=True)
class Checked:
    """The usable rows of a batch as features, and the others with their reasons."""

    features: dict[str, pa.Array]
    """Feature or label → large_string, float32 or, of several classes, large_list of large_string `(rows,)`; null where
    the value is missing."""
    group: pa.Array | None
    """large_string `(rows,)`: value of `split_by`."""
    num_rows: int
    bad: list[BadRow]
    """All bad rows of the batch in the order of the file, the reader's own among them."""


class _Verdicts:
    """Keeps the first reason against each row of a batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.usable = np.ones(len(batch.rows), bool)
        self.bad = list(batch.bad)

    def refuse(self, mask: np.ndarray, reason: Reason, column: str, values: pa.Array | None = None) -> None:
        for at in map(int, np.flatnonzero(mask & self.usable)):
            detail = {"column": column}
            if values is not None:
                received = values[at].as_py()
                spelt = received.decode("utf-8", "backslashreplace") if isinstance(received, bytes) else str(received)
                detail["received"] = spelt[:_RECEIVED_CHARS]
            line = None if self._batch.lines is None else int(self._batch.lines[at])
            self.bad.append(BadRow(int(self._batch.rows[at]), line, reason, detail, self._batch.raw(at)))
        self.usable &= ~mask


def check(batch: Batch, options: ExampleGenOptions) -> Checked:
    """Checks every row against the options.

    A row with several faults gets the first in this order: labels, `split_by`, features in the config's order, empty
    text; of one column: undecodable, no number, missing.
    """
    verdicts = _Verdicts(batch)

    def values_of(column: str) -> pa.Array:
        values = batch.columns.get(column)
        return pa.nulls(len(batch.rows), pa.large_string()) if values is None else values

    def text_of(column: str) -> pa.Array:
        values = values_of(column)
        text, damaged = as_text(values)
        verdicts.refuse(damaged, "undecodable", column, values)
        return text

    def label_of(label: LabelOptions) -> pa.Array:
        if label.type == "number":
            values = values_of(label.column)
            numbers, not_a_number = as_number(values)
            verdicts.refuse(not_a_number, "not_a_number", label.column, values)
            verdicts.refuse(_mask(numbers.is_null()), "missing_label", label.column)
            return numbers
        text = _null_where_empty(pc.utf8_trim_whitespace(text_of(label.column)))
        if label.type == "categories":
            return as_classes(text, label.separator)
        verdicts.refuse(_mask(text.is_null()), "missing_label", label.column)
        return text

    labels = {label.name: label_of(label) for label in options.labels}
    group = None
    if options.split_by is not None:
        group = text_of(options.split_by)
        verdicts.refuse(_mask(group.is_null()), "missing_value", options.split_by)
    features: dict[str, pa.Array] = {}
    for column in options.columns:
        if column.type == "number":
            values = values_of(column.column)
            features[column.name], not_a_number = as_number(values)
            verdicts.refuse(not_a_number, "not_a_number", column.column, values)
        else:
            features[column.name] = text_of(column.column)
        if column.type == "text":
            blank = _mask(pc.equal(pc.utf8_trim_whitespace(features[column.name]), ""))
            features[column.name] = _null_where(features[column.name], blank)
        if column.required:
            verdicts.refuse(_mask(features[column.name].is_null()), "missing_value", column.column)
    text_columns = options.of_type("text")
    if text_columns and options.on_empty_text == "quarantine":
        empty = np.logical_and.reduce([_mask(features[column.name].is_null()) for column in text_columns])
        verdicts.refuse(empty, "empty_text", ", ".join(column.column for column in text_columns))
    features |= labels
    if not verdicts.usable.all():
        kept = pa.array(verdicts.usable)
        features = {name: values.filter(kept) for name, values in features.items()}
        group = None if group is None else group.filter(kept)
    return Checked(features, group, int(verdicts.usable.sum()), sorted(verdicts.bad, key=lambda row: row.row))


def as_text(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Any column as large_string, empty ones null; and which rows hold bytes that are no UTF-8."""
    damaged = np.zeros(len(values), bool)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        try:
            text = values.cast(pa.large_string())
        except pa.ArrowInvalid:
            decoded = [None if value is None else value.decode("utf-8", "replace") for value in values.to_pylist()]
            damaged = np.array([_is_damaged(value) for value in values.to_pylist()])
            text = pa.array(decoded, pa.large_string())
    else:
        text = values.cast(pa.large_string())
    return _null_where_empty(text), damaged


def _is_damaged(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return True
    return False


def as_classes(text: pa.Array, separator: str) -> pa.Array:
    """Splits each text into class names, sorted and each once: large_list of large_string; null where there is none."""
    rows = []
    for value in text.to_pylist():
        names = sorted({name.strip() for name in (value or "").split(separator)} - {""})
        rows.append(names or None)
    return pa.array(rows, pa.large_list(pa.large_string()))


def as_number(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Any column as float32, missing ones null; and which rows hold something that is no finite float32."""
    kind = values.type
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        doubles = (values.cast(pa.uint8()) if pa.types.is_boolean(kind) else values).cast(pa.float64(), safe=False)
        wrong = np.zeros(len(values), bool)
    else:
        text, damaged = as_text(values)
        text = _null_where_empty(pc.utf8_trim_whitespace(text))
        text = _null_where(text, _mask(pc.is_in(pc.utf8_lower(text), _NO_NUMBER)))
        is_number = _mask(pc.match_substring_regex(text, _NUMBER))
        wrong = damaged | (_mask(text.is_valid()) & ~is_number)
        doubles = _null_where(text, ~is_number).cast(pa.float64())
    with np.errstate(over="ignore"):
        numbers = doubles.to_numpy(zero_copy_only=False).astype(np.float32)
    wrong |= np.isinf(numbers)
    return pa.array(numbers, mask=np.isnan(numbers) | wrong), wrong


def _mask(values: pa.Array) -> np.ndarray:
    """Booleans as numpy; null is False."""
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


def _null_where(values: pa.Array, mask: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(mask), pa.scalar(None, values.type), values) if mask.any() else values


def _null_where_empty(values: pa.Array) -> pa.Array:
    return _null_where(values, _mask(pc.equal(values, "")))
