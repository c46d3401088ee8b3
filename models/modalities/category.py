"""Category: one token, looked up by the value."""

from collections.abc import Mapping

import keras
import tensorflow as tf
import tensorflow_transform as tft
from keras import ops

from models.modalities.token_names import TokenNames, of_feature
from models.modalities.tokens import Reader, Tokens
from models.raw import dense
from models.spec import CategoryFeature, ModelSpec

MISSING = "missing"
"""Stands in the name of a token whose value is missing."""

MISSING_ID = 0
"""Id of a missing value; then come the known values, then the buckets for all others."""


def transform(
    inputs: Mapping[str, tf.Tensor | tf.SparseTensor], features: Mapping[str, CategoryFeature], spec: ModelSpec
) -> dict[str, tf.Tensor]:
    """Turns values into ids, the most frequent value first.

    Args:
        inputs: raw features of all types.
        features: the category features.
        spec: not needed here.

    Returns:
        `<name>_id`: int64 `(batch, 1)`.
    """
    outputs = {}
    for name, feature in features.items():
        value = dense(inputs[name], "category")
        value_id = tft.compute_and_apply_vocabulary(
            value,
            top_k=feature.vocabulary_size,
            num_oov_buckets=feature.num_oov_buckets,
            vocab_filename=_vocabulary_file(name),
        )
        value_id = tf.where(value == b"", tf.constant(MISSING_ID, tf.int64), value_id + MISSING_ID + 1)
        outputs[f"{name}_id"] = value_id[:, tf.newaxis]
    return outputs


def _vocabulary_file(name: str) -> str:
    return f"{name}_values"


def vocabulary_files(features: Mapping[str, CategoryFeature]) -> list[str]:
    """Names of the vocabularies that `transform` left in the Transform graph."""
    return [_vocabulary_file(name) for name in features]


def keras_inputs(features: Mapping[str, CategoryFeature]) -> dict[str, keras.KerasTensor]:
    """The network's inputs: int32 `(batch, 1)`."""
    return {key: keras.Input([1], dtype="int32", name=key) for key in (f"{name}_id" for name in features)}


def embed(
    tensors: Mapping[str, keras.KerasTensor],
    features: Mapping[str, CategoryFeature],
    vocabulary_sizes: Mapping[str, int],
    reader: Reader,
) -> dict[str, Tokens]:
    """Looks up the values.

    Args:
        tensors: the network's inputs.
        features: the category features.
        vocabulary_sizes: entries of each vocabulary file.
        reader: size of a token's vector.

    Returns:
        feature name → its one token.
    """
    tokens = {}
    for name, feature in features.items():
        size = MISSING_ID + 1 + vocabulary_sizes[_vocabulary_file(name)] + feature.num_oov_buckets
        value_id = tensors[f"{name}_id"]
        values = keras.layers.Embedding(size, reader.hidden_dim, name=_vocabulary_file(name))
        tokens[name] = Tokens(values(value_id), ops.ones_like(value_id, dtype="bool"))
    return tokens


def row_names(features: Mapping[str, CategoryFeature], vocabularies: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Names the rows of the looked-up weights: missing, the values, the buckets of all others.

    Returns:
        path of a variable → the names of its rows, each once.
    """
    return {
        f"{_vocabulary_file(name)}/embeddings": [
            MISSING,
            *(f"={value}" for value in vocabularies[_vocabulary_file(name)]),
            *(f"bucket {bucket}" for bucket in range(feature.num_oov_buckets)),
        ]
        for name, feature in features.items()
    }


def token_names(
    rows: Mapping[str, tf.Tensor],
    tensors: Mapping[str, tf.Tensor],
    features: Mapping[str, CategoryFeature],
    vocabularies: Mapping[str, list[str]],
) -> dict[str, TokenNames]:
    """Names each token for a reader: `department_name=Dresses`, or `department_name=missing`.

    Args:
        rows: dense raw features.
        tensors: the network's inputs.
        features: the category features.
        vocabularies: not needed here: a value out of the vocabulary is shown as it came.

    Returns:
        feature name → the name of its one token.
    """
    names = {}
    for name in features:
        shown = tf.where(rows[name] == b"", MISSING, rows[name])
        names[name] = of_feature(name, tf.strings.join([f"{name}=", shown])[:, tf.newaxis])
    return names
