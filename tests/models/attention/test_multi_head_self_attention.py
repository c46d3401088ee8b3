import math

import numpy as np
import pytest

from models.attention.multi_head_self_attention import MultiHeadSelfAttention


def identity_attention(hidden_dim: int, num_heads: int) -> MultiHeadSelfAttention:
    """Queries, keys, values and output are the tokens themselves."""
    layer = MultiHeadSelfAttention(num_heads)
    layer.build((None, None, hidden_dim))
    identity = [
        np.eye(hidden_dim).reshape(weight.shape)
        if weight.ndim > 1 and weight.size == hidden_dim**2
        else np.zeros(weight.shape)
        for weight in layer.get_weights()
    ]
    layer.set_weights(identity)
    return layer


def test_two_tokens_of_two_numbers_by_hand():
    tokens = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    output, scores = identity_attention(2, 1)(tokens, np.array([[True, True]]))
    # Q K^T / sqrt(2) is 1/sqrt(2) on the diagonal and 0 beside it.
    same = math.exp(1 / math.sqrt(2)) / (math.exp(1 / math.sqrt(2)) + 1)
    expected = [[same, 1 - same], [1 - same, same]]
    np.testing.assert_allclose(scores[0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(output[0], expected, rtol=1e-6)


def test_each_head_sees_its_part_of_the_vector():
    tokens = np.array([[[2.0, 0.0], [0.0, 0.0]]], "float32")
    _, scores = identity_attention(2, 2)(tokens, np.array([[True, True]]))
    # key_dim is 1: the first head reads 2·2 = 4 against 0, the second only zeros.
    np.testing.assert_allclose(scores[0, 0, 0], [math.exp(4) / (math.exp(4) + 1), 1 / (math.exp(4) + 1)], rtol=1e-5)
    np.testing.assert_allclose(scores[0, 1], [[0.5, 0.5], [0.5, 0.5]], rtol=1e-6)


def test_padding_gets_no_weight_and_changes_nothing():
    tokens = np.random.default_rng(0).normal(size=(1, 3, 4)).astype("float32")
    layer = MultiHeadSelfAttention(2)
    short, _ = layer(tokens[:, :2], np.array([[True, True]]))
    long, scores = layer(tokens, np.array([[True, True, False]]))
    np.testing.assert_allclose(long[:, :2], short, rtol=1e-5, atol=1e-6)
    assert not np.any(scores[..., 2])


def test_refuses_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="num_heads=3, hidden_dim=4"):
        MultiHeadSelfAttention(3).build((None, None, 4))


def test_comes_back_from_its_config():
    layer = MultiHeadSelfAttention.from_config(MultiHeadSelfAttention(2, dropout=0.1, name="x").get_config())
    assert (layer.num_heads, layer.dropout, layer.name) == (2, 0.1, "x")
