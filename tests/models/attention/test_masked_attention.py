import keras
import numpy as np
import pytest
import tensorflow as tf

from models.attention.gelu import gelu
from models.attention.masked_attention import MaskedAttention

TOKENS = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
KEYS = np.arange(5) < np.array([[5], [3], [1]])


def both(dtype="float32", dropout=0.0):
    """Keras's layer and ours with the same weights."""
    layers = [
        kind(num_heads=2, key_dim=4, dropout=dropout, dtype=dtype)
        for kind in (keras.layers.MultiHeadAttention, MaskedAttention)
    ]
    for layer in layers:
        layer.build(TOKENS.shape, TOKENS.shape)
    layers[1].set_weights(layers[0].get_weights())
    return layers


@pytest.mark.parametrize("mask", [None, KEYS[:, None, :], np.tril(np.ones((5, 5), bool))[None].repeat(3, 0)])
def test_numbers_and_gradients_are_those_of_keras(mask):
    told = []
    for layer in both():
        with tf.GradientTape() as tape:
            output, scores = layer(TOKENS, TOKENS, attention_mask=mask, return_attention_scores=True)
            loss = tf.reduce_sum(output**2)
        told.append([output, scores, *tape.gradient(loss, [weight.value for weight in layer.trainable_variables])])
    for ours, expected in zip(*told, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_padding_has_no_weight_at_all(dtype):
    _, scores = both(dtype)[1](TOKENS, TOKENS, attention_mask=KEYS[:, None, :], return_attention_scores=True)
    scores = np.asarray(tf.cast(scores, "float32"))
    assert not scores[~np.broadcast_to(KEYS[:, None, None, :], scores.shape)].any()
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-2)


def test_dropout_acts_in_training_alone():
    layer = both(dropout=0.5)[1]
    assert np.array_equal(layer(TOKENS, TOKENS), layer(TOKENS, TOKENS, training=False))
    assert not np.allclose(layer(TOKENS, TOKENS), layer(TOKENS, TOKENS, training=True))


def test_gelu_is_that_of_keras():
    x = np.linspace(-12, 12, 2001, dtype="float32")
    np.testing.assert_allclose(gelu(x), keras.activations.gelu(x, approximate=False), atol=1e-6)
    assert gelu(np.float32(0)) == 0


def test_gelu_comes_back_by_its_name():
    dense = keras.layers.Dense(2, gelu)
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(dense)).activation is gelu
