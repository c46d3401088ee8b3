"""What a token means right behind the one before it: "not" and "flattering", read together."""

import keras
from keras import ops

_FACTOR = 31_337
"""Odd, and so prime to a power of two; times an id it stays within int32 for vocabularies of up to 68,000 pieces."""


def bucket_of(before, after, buckets: int):
    """The row of a table of so many `buckets` for a pair of ids, int of any one shape."""
    return (before * _FACTOR + after) % buckets


@keras.saving.register_keras_serializable(package="attention")
class BigramEmbedding(keras.layers.Layer):
    """Looks up each token with its predecessor in a hashed table, as fastText does (Joulin et al. 2016).

    In training the whole vector of a pair is dropped at a rate, so that no pair is learnt by heart.

    Args:
        buckets: rows of the table; pairs share them by hash.
        bigram_dim: size of a row.
        hidden_dim: size of a token's vector, to which rows are projected.
        dropout: rate at which pairs are dropped.
    """

    def __init__(self, buckets: int, bigram_dim: int, hidden_dim: int, dropout: float, **kwargs):
        super().__init__(**kwargs)
        self.buckets = buckets
        self.bigram_dim = bigram_dim
        self.hidden_dim = hidden_dim
        self.dropout_rate = dropout
        dtype = self.dtype_policy
        self.table = keras.layers.Embedding(
            buckets, bigram_dim, keras.initializers.RandomNormal(stddev=0.05), dtype=dtype, name="table"
        )
        self.dropout = keras.layers.Dropout(dropout, noise_shape=(None, None, 1), dtype=dtype, name="dropout")
        self.projection = keras.layers.Dense(hidden_dim, use_bias=False, dtype=dtype, name="projection")

    def build(self, input_shape):
        self.table.build(input_shape)
        self.projection.build((*input_shape, self.bigram_dim))

    def call(self, token_ids, training=None):
        """Looks up.

        Args:
            token_ids: int `(batch, tokens)`; the first of a row follows the id 0.
            training: whether dropout acts.

        Returns:
            float `(batch, tokens, hidden_dim)`.
        """
        before = ops.pad(token_ids[:, :-1], [[0, 0], [1, 0]])
        bucket = bucket_of(before, token_ids, self.buckets)
        return self.projection(self.dropout(self.table(bucket), training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.hidden_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "buckets": self.buckets,
            "bigram_dim": self.bigram_dim,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout_rate,
        }
