"""Rows of the test split that models are asked, and what they answer."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_gate.table import CLASSES_SEPARATOR, Table, read_table, row_keys
from components.release_gate.fresh_process import FreshProcess
from components.release_gate.options import HeadOptions

BATCH_ROWS = 64
DEFAULT_SIGNATURE = "serving_default"
EXPLAINED = {"attention", "tokens", "token_features"}
"""Outputs of the signature `explain` that are looked at, beside its answers."""

_PARTS = ("label", "probabilities", "classes", "value")


@dataclass(frozen=True)
class Sample:
    """Rows with their labels.

    Attributes:
        columns: feature → bytes (`b""` is missing) or float32 (NaN is missing) `(rows,)`, as the signatures take them.
        labels: head → of each row its class (bytes), its classes (frozenset of bytes) or its number.
        types: feature → type.
        table: the same rows for a reader.
        split_rows: how many rows there are to choose from.
        places: int `(rows,)`: place of each row in the split, from 0.
    """

    columns: dict[str, np.ndarray]
    labels: dict[str, list[Any]]
    types: dict[str, str]
    table: Table
    split_rows: int
    places: list[int]

    @property
    def num_rows(self) -> int:
        return self.table.num_rows

    @property
    def texts(self) -> list[str]:
        """Names of the text features."""
        return [name for name, kind in self.types.items() if kind == "text" and name in self.columns]

    def first(self, number: int) -> "Sample":
        """The first rows."""
        table = Table(
            {name: column[:number] for name, column in self.table.columns.items()}, min(number, self.num_rows)
        )
        columns = {name: column[:number] for name, column in self.columns.items()}
        labels = {name: values[:number] for name, values in self.labels.items()}
        return replace(self, columns=columns, labels=labels, table=table, places=self.places[:number])

    def describe(self, row: int) -> str:
        """A row in one line, its texts first."""
        return self.table.describe(row, self.texts[0] if self.texts else "")


def read_sample(
    files: list[str],
    features: Mapping[str, str],
    heads: Mapping[str, HeadOptions],
    rows: int,
    known: "Sequence[Sample]" = (),
) -> Sample:
    """Chooses rows by a hash of what they say, so that equal splits give equal rows in whatever order they come.

    Args:
        files: gzipped TFRecords of tf.Example.
        features: name → type.
        heads: name → its options.
        rows: at most so many.
        known: samples of the same features and heads, none of whose rows is chosen.
    """
    types = {**features, **{name: head.label_type for name, head in heads.items()}}
    table = read_table(files, types)
    keys = row_keys(table, types).to_pylist()
    taken = {key for sample in known for key in row_keys(sample.table, types).to_pylist()}
    hashes = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    order = sorted((row for row in range(table.num_rows) if keys[row] not in taken), key=lambda row: (hashes[row], row))
    chosen = pa.array(order[:rows], pa.int64())
    part = Table({name: column.take(chosen) for name, column in table.columns.items()}, len(chosen))
    columns = {name: _as_input(part.columns[name], kind) for name, kind in features.items()}
    labels = {name: _as_labels(part.columns[name], head) for name, head in heads.items()}
    return Sample(columns, labels, dict(features), part, table.num_rows, chosen.to_pylist())


def _as_input(column: pa.Array, kind: str) -> np.ndarray:
    if kind == "number":
        return pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False).astype(np.float32)
    return np.array([text.encode() for text in pc.fill_null(column, "").to_pylist()], object)


def _as_labels(column: pa.Array, head: HeadOptions) -> list[Any]:
    values = column.to_pylist()
    if head.type == "regression":
        return [float("nan") if value is None else value for value in values]
    if head.type == "multi_label":
        return [frozenset(name.encode() for name in (value or "").split(CLASSES_SEPARATOR) if name) for value in values]
    return [(value or "").encode() for value in values]


@dataclass(frozen=True)
class Answers:
    """What one head answers to rows.

    Attributes:
        head: its options.
        classes: their names; none of a number.
        labels: bytes `(rows,)`, the served class, or the classes joined; of a number empty.
        scores: float `(rows, classes)`, the probabilities; of a number `(rows, 1)`, its value.
    """

    head: HeadOptions
    classes: tuple[bytes, ...]
    labels: np.ndarray
    scores: np.ndarray

    @property
    def is_number(self) -> bool:
        return self.head.type == "regression"

    def take(self, rows: np.ndarray | slice) -> "Answers":
        """Some of the rows."""
        return replace(self, labels=self.labels[rows], scores=self.scores[rows])

    @property
    def confidence(self) -> np.ndarray:
        """Float `(rows,)`: the probability of the served class; of several classes the greatest."""
        if self.head.type == "multi_label":
            return self.scores.max(axis=1)
        places = {name: place for place, name in enumerate(self.classes)}
        return self.scores[np.arange(len(self.labels)), [places[label] for label in self.labels]]


class Model:
    """A model in the fresh process.

    Args:
        process: that holds it.
        directory: of the SavedModel.
        heads: name → options.
    """

    def __init__(self, process: FreshProcess, directory: Path, heads: Mapping[str, HeadOptions]):
        self._process, self._directory, self._heads = process, directory, heads
        self.missing: list[str] = []

    def outputs(
        self, columns: Mapping[str, np.ndarray], signature: str = DEFAULT_SIGNATURE, batches: Sequence[np.ndarray] = ()
    ) -> dict[str, np.ndarray]:
        """Asks about rows.

        Args:
            columns: feature → `(rows,)`.
            signature: of the Predict API.
            batches: row numbers; default: 64 rows of similar length each.

        Returns:
            alias → array `(rows, …)` in the order of the batches, or of the rows where none were given, padded behind.

        Raises:
            QuestionError: there is no answer.
        """
        order = None
        if not len(batches):
            lengths = sum(np.array([len(text) for text in each]) for each in columns.values() if each.dtype == object)
            rows = len(next(iter(columns.values())))
            order = np.argsort(np.broadcast_to(lengths, rows), kind="stable")
            batches = [order[start : start + BATCH_ROWS] for start in range(0, rows, BATCH_ROWS)]
        wanted = [f"{head.prefix}{part}" for head in self._heads.values() for part in _PARTS]
        answer = self._process.ask(self._directory, signature, columns, batches, [*wanted, *sorted(EXPLAINED)])
        self.missing = answer["missing"]
        parts = answer["outputs"]
        joined = {alias: _joined([part[alias] for part in parts]) for alias in parts[0]}
        if order is not None:
            back = np.argsort(order)
            joined = {alias: array[back] for alias, array in joined.items()}
        return joined

    def seconds(self, columns: Mapping[str, np.ndarray], batches: Sequence[np.ndarray], at_once: int) -> list[float]:
        """How long requests take.

        Args:
            columns: feature → `(rows,)`.
            batches: row numbers of each request.
            at_once: how many requests run at a time.

        Raises:
            QuestionError: there is no answer.
        """
        wanted = [f"{head.prefix}{part}" for head in self._heads.values() for part in _PARTS]
        return self._process.ask(self._directory, DEFAULT_SIGNATURE, columns, batches, wanted, at_once)["seconds"]

    def answers(self, outputs: Mapping[str, np.ndarray]) -> dict[str, Answers]:
        """What each head says in the outputs; a head that the model lacks is left out."""
        return {
            name: _answers(head, outputs)
            for name, head in self._heads.items()
            if head.prefix + ("value" if head.type == "regression" else "probabilities") in outputs
        }


def _answers(head: HeadOptions, outputs: Mapping[str, np.ndarray]) -> Answers:
    if head.type == "regression":
        values = np.asarray(outputs[f"{head.prefix}value"], np.float64).reshape(-1, 1)
        return Answers(head, (), np.empty(len(values), object), values)
    scores = np.asarray(outputs[f"{head.prefix}probabilities"], np.float64)
    classes = tuple(outputs[f"{head.prefix}classes"][0].tolist()) if len(scores) else ()
    return Answers(head, classes, np.asarray(outputs[f"{head.prefix}label"], object), scores)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """One array of all rows; where rows of batches are of different lengths, the short ones are padded."""
    width = max(part.shape[1] for part in parts) if parts[0].ndim > 1 else 0
    if not width:
        return np.concatenate(parts)
    empty: Any = b"" if parts[0].dtype == object else 0
    padding = [[(0, 0), (0, width - part.shape[1]), *[(0, 0)] * (part.ndim - 2)] for part in parts]
    return np.concatenate([np.pad(part, pad, constant_values=empty) for part, pad in zip(parts, padding, strict=True)])
