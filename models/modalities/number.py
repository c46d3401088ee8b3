"""Number: one token, placed by the number's z-score."""

from collections.abc import Mapping

import keras
import tensorflow as tf
import tensorflow_transform as tft
from keras import ops

from models.attention.gelu import gelu
from models.modalities.token_names import TokenNames, of_feature
from models.modalities.tokens import Reader, Tokens
from models.raw import dense
from models.spec import ModelSpec, NumberFeature

MISSING = "missing"
"""Stands in the name of a token whose value is missing."""

_LARGEST_Z_SCORE = 10.0


def transform(
    inputs: Mapping[str, tf.Tensor | tf.SparseTensor], features: Mapping[str, NumberFeature], spec: ModelSpec
) -> dict[str, tf.Tensor]:
    """Scales to mean 0 and variance 1 of the analysed split.

    Args:
        inputs: raw features of all types.
        features: the number features.
        spec: not needed here.

    Returns:
        `<name>_value`: float32 `(batch, 1)`, the z-score, cut at ±10.
        `<name>_missing`: float32 `(batch, 1)`; 1 where the value is missing or not finite.
    """
    outputs = {}
    for name, feature in features.items():
        value = dense(inputs[name], "number")
        is_missing = ~tf.math.is_finite(value)
        value = tf.where(is_missing, tf.constant(float("nan")), value)  # the analyzers pass over NaN
        # In 64 bits: Beam adds up in any order, and in 32 the same rows would give another model now and then.
        exact = tf.cast(value, tf.float64)
        mean, variance = (_finite_or_zero(moment) for moment in (tft.mean(exact), tft.var(exact)))
        value = tf.where(is_missing, mean if feature.missing == "mean" else 0.0, value)
        z_score = tf.math.divide_no_nan(value - mean, tf.sqrt(variance))
        z_score = tf.clip_by_value(z_score, -_LARGEST_Z_SCORE, _LARGEST_Z_SCORE)
        outputs[f"{name}_value"] = z_score[:, tf.newaxis]
        outputs[f"{name}_missing"] = tf.cast(is_missing, tf.float32)[:, tf.newaxis]
    return outputs


def _finite_or_zero(moment: tf.Tensor) -> tf.Tensor:
    """A column without one value has no moments. float64 `()` → float32 `()`."""
    moment = tf.cast(moment, tf.float32)
    return tf.where(tf.math.is_finite(moment), moment, 0.0)


def vocabulary_files(features: Mapping[str, NumberFeature]) -> list[str]:
    """None: numbers have no vocabulary."""
    return []


def keras_inputs(features: Mapping[str, NumberFeature]) -> dict[str, keras.KerasTensor]:
    """The network's inputs: float32 `(batch, 1)` for the value and for its missing flag."""
    keys = (f"{name}_{part}" for name in features for part in ("value", "missing"))
    return {key: keras.Input([1], dtype="float32", name=key) for key in keys}


def embed(
    tensors: Mapping[str, keras.KerasTensor],
    features: Mapping[str, NumberFeature],
    vocabulary_sizes: Mapping[str, int],
    reader: Reader,
) -> dict[str, Tokens]:
    """Makes one token of each number by a small MLP of its value and its missing flag.

    Args:
        tensors: the network's inputs.
        features: the number features.
        vocabulary_sizes: not needed here.
        reader: size of a token's vector.

    Returns:
        feature name → its one token.
    """
    tokens = {}
    for name in features:
        value, missing = tensors[f"{name}_value"], tensors[f"{name}_missing"]
        hidden = keras.layers.Dense(reader.hidden_dim, gelu, name=f"{name}_scale")(
            ops.concatenate([value, missing], axis=-1)
        )
        token = keras.layers.Dense(reader.hidden_dim, name=f"{name}_token")(hidden)
        tokens[name] = Tokens(token[:, None, :], ops.ones_like(value, dtype="bool"))
    return tokens


def row_names(features: Mapping[str, NumberFeature], vocabularies: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """None: nothing is looked up."""
    return {}


def token_names(
    rows: Mapping[str, tf.Tensor],
    tensors: Mapping[str, tf.Tensor],
    features: Mapping[str, NumberFeature],
    vocabularies: Mapping[str, list[str]],
) -> dict[str, TokenNames]:
    """Names each token for a reader: `age=34`, or `age=missing`.

    Args:
        rows: dense raw features.
        tensors: the network's inputs.
        features: the number features.
        vocabularies: not needed here.

    Returns:
        feature name → the name of its one token.
    """
    names = {}
    for name in features:
        shown = tf.where(tensors[f"{name}_missing"][:, 0] > 0, MISSING, tf.strings.as_string(rows[name], shortest=True))
        names[name] = of_feature(name, tf.strings.join([f"{name}=", shown])[:, tf.newaxis])
    return names
