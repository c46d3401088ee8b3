import math

import numpy as np

from models.attention.attention_pooling import AttentionPooling


def test_two_tokens_by_hand():
    layer = AttentionPooling()
    layer.build((None, None, 2))
    layer.set_weights([np.array([1.0, 0.0]), np.eye(2), np.zeros(2)])  # query, projection
    pooled, weights = layer(np.array([[[1.0, 3.0], [0.0, 5.0]]], "float32"), np.array([[True, True]]))
    first = math.exp(math.tanh(1)) / (math.exp(math.tanh(1)) + 1)
    np.testing.assert_allclose(weights, [[first, 1 - first]], rtol=1e-6)
    np.testing.assert_allclose(pooled, [[first, 3 * first + 5 * (1 - first)]], rtol=1e-6)


def test_weights_sum_to_one_and_are_zero_on_padding():
    random = np.random.default_rng(0)
    mask = np.array([[True, True, True], [True, False, False]])
    _, weights = AttentionPooling()(random.normal(size=(2, 3, 4)).astype("float32"), mask)
    np.testing.assert_allclose(np.sum(weights, axis=1), [1, 1], rtol=1e-6)
    assert (np.asarray(weights) >= 0).all()
    np.testing.assert_array_equal(weights[1], [1, 0, 0])


def test_a_query_of_zeros_begins_with_the_mean():
    tokens = np.random.default_rng(0).normal(size=(1, 3, 4)).astype("float32")
    layer = AttentionPooling("zeros")
    pooled, weights = layer(tokens, np.array([[True, True, False]]))
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(pooled[0], tokens[0, :2].mean(axis=0), rtol=1e-5, atol=1e-6)
    assert AttentionPooling.from_config(layer.get_config()).query_initializer == "zeros"


def test_what_padding_holds_does_not_matter():
    tokens = np.random.default_rng(0).normal(size=(1, 3, 4)).astype("float32")
    mask = np.array([[True, True, False]])
    layer = AttentionPooling()
    pooled, _ = layer(tokens, mask)
    tokens[:, 2] = 1e4
    np.testing.assert_array_equal(layer(tokens, mask)[0], pooled)


def test_half_precision_tokens_give_float32_weights():
    layer = AttentionPooling(dtype="mixed_float16")
    pooled, weights = layer(np.ones((1, 300, 4), "float16"), np.ones((1, 300), bool))
    assert pooled.dtype == weights.dtype == "float32"
    np.testing.assert_allclose(np.sum(weights), 1, rtol=1e-5)
