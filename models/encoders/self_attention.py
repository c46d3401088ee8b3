"""The encoder that learns from nothing but the rows: self-attention over the tokens of all features."""

from collections.abc import Mapping

import keras
from keras import ops

from models.attention.gelu import gelu
from models.attention.multi_head_self_attention import MultiHeadSelfAttention
from models.modalities.tokens import Tokens
from models.spec import ModelOptions


@keras.saving.register_keras_serializable(package="attention")
class FeatureEmbedding(keras.layers.Layer):
    """Adds a learned vector that tells the tokens of one feature from those of all others."""

    def build(self, input_shape):
        self.feature = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.RandomNormal(stddev=0.02), name="feature"
        )

    def call(self, tokens):
        """Float `(batch, tokens, hidden_dim)` → the same shape."""
        return tokens + self.feature


@keras.saving.register_keras_serializable(package="attention")
class EncoderBlock(keras.layers.Layer):
    """One pre-norm block: self-attention, then a feed-forward network, each added to what it read (Xiong et al. 2020).

    Args:
        num_heads: must divide the size of a token's vector.
        feedforward_dim: size of the inner layer.
        dropout: rate on attention weights and on what either part adds.
    """

    def __init__(self, num_heads: int, feedforward_dim: int, dropout: float, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.dropout_rate = dropout

    def build(self, input_shape):
        dtype = self.dtype_policy
        self.attention_norm = keras.layers.LayerNormalization(dtype=dtype, name="attention_norm")
        self.attention = MultiHeadSelfAttention(self.num_heads, self.dropout_rate, dtype=dtype, name="attention")
        self.feedforward_norm = keras.layers.LayerNormalization(dtype=dtype, name="feedforward_norm")
        self.inner = keras.layers.Dense(self.feedforward_dim, gelu, dtype=dtype, name="inner")
        self.outer = keras.layers.Dense(input_shape[-1], dtype=dtype, name="outer")
        self.dropout = keras.layers.Dropout(self.dropout_rate, dtype=dtype, name="dropout")
        for layer in (self.attention_norm, self.attention, self.feedforward_norm, self.inner):
            layer.build(input_shape)
        self.outer.build((*input_shape[:-1], self.feedforward_dim))

    def call(self, tokens, padding_mask, training=None, return_attention_scores=False):
        """Encodes.

        Args:
            tokens: float `(batch, tokens, hidden_dim)`.
            padding_mask: bool `(batch, tokens)`; True marks a real token.
            training: whether dropout acts.
            return_attention_scores: whether they are given, too.

        Returns:
            float `(batch, tokens, hidden_dim)`; if wanted also float `(batch, heads, queries, keys)`, 0 on padded keys.
        """
        attended, scores = self.attention(self.attention_norm(tokens), padding_mask, training=training)
        tokens = tokens + self.dropout(attended, training=training)
        hidden = self.outer(self.inner(self.feedforward_norm(tokens)))
        tokens = tokens + self.dropout(hidden, training=training)
        return (tokens, scores) if return_attention_scores else tokens

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feedforward_dim": self.feedforward_dim,
            "dropout": self.dropout_rate,
        }


def self_attention(features: Mapping[str, Tokens], options: ModelOptions) -> Tokens:
    """Joins the tokens of all features to one sequence and lets them read each other.

    Args:
        features: feature name → its tokens, in the order of the sequence.
        options: depth, width and dropout.

    Returns:
        the encoded tokens of all features.
    """
    vectors = ops.concatenate(
        [FeatureEmbedding(name=f"{name}_feature")(part.vectors) for name, part in features.items()], axis=1
    )
    padding_mask = ops.concatenate([part.padding_mask for part in features.values()], axis=1)
    vectors = keras.layers.Dropout(options.dropout, name="token_dropout")(vectors)
    for index in range(options.num_layers):
        block = EncoderBlock(options.num_heads, options.feedforward_dim, options.dropout, name=f"block_{index}")
        vectors = block(vectors, padding_mask)
    return Tokens(keras.layers.LayerNormalization(name="encoder_norm")(vectors), padding_mask)
