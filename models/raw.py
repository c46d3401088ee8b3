"""The raw values of a row: how clients send them, how tf.Examples hold them, how the Transform graph takes them.

A row as clients send it is one dense tensor per feature, `(batch,)`: float32 for a number, string for all else.
NaN and `""` stand for a missing value. A tf.Example leaves the key of a missing value out. Labels lie in tf.Examples
in the same way; only one with several classes at once is sparse, string `(batch, values)`.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.spec import ModelSpec


def raw_types(spec: ModelSpec, label: bool = False) -> dict[str, str]:
    """Types of the raw features that the model reads.

    Args:
        spec: the features.
        label: whether to add the labels.

    Returns:
        name → feature type, in the config's order.
    """
    types = {name: feature.type for name, feature in spec.inputs.items()}
    return types | spec.label_types if label else types


def dtype_of(feature_type: str) -> tf.DType:
    """The dtype of a raw feature of this type."""
    return tf.float32 if feature_type == "number" else tf.string


def dense(tensor: tf.Tensor | tf.SparseTensor, feature_type: str) -> tf.Tensor:
    """Gives one value per row, whatever form the schema chose for the feature.

    Args:
        tensor: `(batch,)`, `(batch, 1)`, or a sparse `(batch, values)`, of which the first value of a row counts.
        feature_type: decides what stands for a missing value.

    Returns:
        `(batch,)`: float32 for a number, else string.
    """
    if not isinstance(tensor, tf.SparseTensor):
        return tf.reshape(tensor, [-1])
    shape = tf.stack([tensor.dense_shape[0], tf.maximum(tensor.dense_shape[1], 1)])
    missing = float("nan") if feature_type == "number" else b""
    return tf.sparse.to_dense(tf.SparseTensor(tensor.indices, tensor.values, shape), missing)[:, 0]


def parse_examples(serialized: tf.Tensor, types: Mapping[str, str]) -> dict[str, tf.Tensor | tf.SparseTensor]:
    """Reads rows out of serialized tf.Examples; any feature may be left out.

    Args:
        serialized: string `(batch,)`.
        types: name → feature type, or `categories`.

    Returns:
        name → dense `(batch,)`, or sparse `(batch, values)` for `categories`.
    """
    parsed = tf.io.parse_example(
        serialized, {name: tf.io.VarLenFeature(dtype_of(feature_type)) for name, feature_type in types.items()}
    )
    return {
        name: parsed[name] if feature_type == "categories" else dense(parsed[name], feature_type)
        for name, feature_type in types.items()
    }


def transform_inputs(
    rows: Mapping[str, tf.Tensor | tf.SparseTensor], feature_spec: Mapping[str, Any]
) -> dict[str, tf.Tensor | tf.SparseTensor]:
    """Gives dense rows the form in which the Transform graph takes them.

    Args:
        rows: as `parse_examples` gives them.
        feature_spec: the Transform graph's own raw feature spec, as the schema chose it.

    Returns:
        name → dense `(batch, …)`, or a sparse `(batch, 1)` that leaves missing values out.
    """
    inputs = {}
    for name, row in rows.items():
        if isinstance(row, tf.SparseTensor):
            inputs[name] = row
            continue
        column = row[:, tf.newaxis]
        if isinstance(feature_spec[name], tf.io.FixedLenFeature):
            inputs[name] = tf.reshape(column, [-1, *feature_spec[name].shape])
        else:
            present = ~tf.math.is_nan(column) if column.dtype.is_floating else column != b""
            indices = tf.where(present)
            shape = tf.shape(column, out_type=tf.int64)
            inputs[name] = tf.SparseTensor(indices, tf.gather_nd(column, indices), shape)
    return inputs
