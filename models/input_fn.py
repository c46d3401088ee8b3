"""Rows → batches: rows of similar length together, padded to the longest of their batch and not to `max_len`.

The trainer reads raw tf.Examples through the Transform graph itself, the same graph in the same way as the served
signatures, and keeps the token ids (4 bytes each) in memory: any batch of any epoch can then be made by its number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.labels import type_of
from models.raw import parse_examples, raw_types, transform_inputs
from models.spec import ModelSpec

_READ_ROWS = 1024
_WINDOW_BATCHES = 50
"""Rows are sorted by length within so many batches: enough for little padding, few enough to keep batches random."""


@dataclass(frozen=True)
class Split:
    """All rows of a split, transformed.

    Attributes:
        features: name → `(rows, 1)`, or ragged int32 `(rows, tokens)`.
        labels: head → its label as the head's type has it, the first axis being rows.
        lengths: int64 `(rows,)`; tokens of a row that can be padding in another.
    """

    features: dict[str, tf.Tensor | tf.RaggedTensor]
    labels: dict[str, np.ndarray]
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


def read_split(patterns: Sequence[str], transform_output: tft.TFTransformOutput, spec: ModelSpec) -> Split:
    """Reads and transforms all raw rows of a split.

    Args:
        patterns: file patterns of TFRecords of raw tf.Examples.
        transform_output: the Transform graph.
        spec: the features.

    Returns:
        the rows in the order of the sorted files.

    Raises:
        ValueError: there is no row.
    """
    layer = transform_output.transform_features_layer()
    feature_spec = transform_output.raw_feature_spec()
    types = raw_types(spec, label=True)

    def transform(serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
        return as_ragged(layer(transform_inputs(parse_examples(serialized, types), feature_spec)))

    files = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(files, "GZIP" if all(path.endswith(".gz") for path in files) else "")
    parts = list(records.batch(_READ_ROWS).map(tf.autograph.experimental.do_not_convert(transform)))
    if not parts:
        raise ValueError(
            f"A split that is trained or evaluated on must hold rows. Received: no row in {list(patterns)}"
        )
    columns = {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}
    labels = {
        name: type_of(head).read_labels(columns.pop(name), name, transform_output) for name, head in spec.heads.items()
    }
    ragged = [column.row_lengths().numpy() for column in columns.values() if isinstance(column, tf.RaggedTensor)]
    return Split(columns, labels, sum(ragged, np.zeros(len(next(iter(labels.values()))), np.int64)))


def as_ragged(transformed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Transformed features as the network wants them, before padding: sparse → ragged, int64 → int32."""
    return _columns(transformed, tf.RaggedTensor.from_sparse)


def as_dense(transformed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> dict[str, tf.Tensor]:
    """Transformed features as the network wants them: padded with 0 to the longest row, int64 → int32."""
    return _columns(transformed, tf.sparse.to_dense)


def _columns(
    transformed: Mapping[str, tf.Tensor | tf.SparseTensor], read_sparse: Callable[[tf.SparseTensor], Any]
) -> dict[str, Any]:
    columns = {}
    for name, column in transformed.items():
        if isinstance(column, tf.SparseTensor):
            column = read_sparse(column)
        columns[name] = tf.cast(column, tf.int32) if column.dtype == tf.int64 else column
    return columns


def pad(
    columns: Mapping[str, tf.Tensor | tf.RaggedTensor], lengths: Mapping[str, Sequence[int]] = MappingProxyType({})
) -> dict[str, tf.Tensor]:
    """Pads ragged features with 0: to the longest row, or to the next of the lengths that are given for a feature."""
    return {
        name: _to_tensor(column, lengths.get(name)) if isinstance(column, tf.RaggedTensor) else column
        for name, column in columns.items()
    }


def _to_tensor(column: tf.RaggedTensor, lengths: Sequence[int] | None) -> tf.Tensor:
    padded = column.to_tensor()
    if not lengths:
        return padded
    length = tf.shape(padded)[1]
    wanted = tf.gather(tf.constant(lengths), tf.searchsorted(tf.constant(lengths), length[tf.newaxis])[0])
    return tf.pad(padded, [[0, 0], [0, wanted - length]])


def few_lengths(split: Split, multiple: int) -> dict[str, list[int]]:
    """The lengths that batches may have if they are to have few: multiples, and that of the longest row.

    Args:
        split: the transformed rows.
        multiple: 1 for any length.

    Returns:
        name of each ragged feature → ascending lengths; empty for any length.
    """
    if multiple == 1:
        return {}
    longest = {
        name: int(tf.reduce_max(column.row_lengths()))
        for name, column in split.features.items()
        if isinstance(column, tf.RaggedTensor)
    }
    return {name: [*range(multiple, most, multiple), most] for name, most in longest.items()}


def shuffled_rows(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Orders the rows of an epoch so that each run of `batch_size` rows is a batch of similar lengths.

    Args:
        lengths: int `(rows,)`.
        batch_size: rows of a batch.
        seed: of the whole training.
        epoch: each epoch has an order of its own.

    Returns:
        int64 `(rows,)`: a permutation; a batch that is not full comes last.
    """
    random = np.random.default_rng([seed, epoch])
    rows = random.permutation(len(lengths))
    window = batch_size * _WINDOW_BATCHES
    windows = [rows[start : start + window] for start in range(0, len(rows), window)]
    rows = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in windows])
    full = len(rows) // batch_size * batch_size
    batches = random.permutation(rows[:full].reshape(-1, batch_size))
    return np.concatenate([batches.ravel(), rows[full:]])


def sorted_rows(lengths: np.ndarray) -> np.ndarray:
    """Orders the rows by length: int64 `(rows,)`."""
    return np.argsort(lengths, kind="stable")


def batches(
    split: Split,
    rows: np.ndarray,
    batch_size: int,
    class_weights: Mapping[str, np.ndarray] = MappingProxyType({}),
    first_step: int = 0,
    multiple: int = 1,
    replicas: int = 1,
    own: range = range(1),
) -> tf.data.Dataset:
    """Makes the batches of one epoch.

    Args:
        split: the transformed rows.
        rows: int64 `(rows,)`; their order.
        batch_size: rows of a batch; the last one may be smaller.
        class_weights: head → float32 `(classes,)`, for each head whose rows count by their class.
        first_step: number of the batch to begin with, where a training goes on in the middle of an epoch.
        multiple: texts are padded to a multiple of so many tokens, or to the longest of all.
        replicas: that share each batch; its rows are dealt out as evenly as can be, so that one may get none.
        own: the replicas to make parts for.

    Returns:
        a dataset of `(features, labels)` or `(features, labels, weights)`, labels and weights by the names of the
        heads; of each batch the parts of the own replicas, one after the other.
    """

    def make_batch(index: tf.Tensor) -> tuple:
        step, replica = index // len(own), index % len(own) + own[0]
        chosen = rows[step * batch_size : (step + 1) * batch_size]
        size = tf.size(chosen, tf.int64)
        chosen = chosen[size * replica // replicas : size * (replica + 1) // replicas]
        features = pad({name: tf.gather(column, chosen) for name, column in split.features.items()}, lengths)
        labels = {name: tf.gather(column, chosen) for name, column in split.labels.items()}
        if not class_weights:
            return features, labels
        even = tf.ones(tf.shape(chosen))
        weights = {
            name: tf.gather(class_weights[name], ids) if name in class_weights else even for name, ids in labels.items()
        }
        return features, labels, weights

    rows = tf.constant(rows)
    lengths = few_lengths(split, multiple)
    steps = -(-len(split) // batch_size)
    indices = tf.data.Dataset.range(first_step * len(own), steps * len(own))
    dataset = indices.map(tf.autograph.experimental.do_not_convert(make_batch), num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE)
