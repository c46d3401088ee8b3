"""Multi-head self-attention with padding."""

import keras

from models.attention.masked_attention import MaskedAttention


@keras.saving.register_keras_serializable(package="attention")
class MultiHeadSelfAttention(keras.layers.Layer):
    """Lets every token read every real token of its row.

    `softmax(Q K^T / sqrt(key_dim)) V` for each head (Vaswani et al. 2017, eq. 1), then one projection of all heads.

    Args:
        num_heads: must divide the size of a token's vector.
        dropout: rate at which attention weights are dropped in training.
    """

    def __init__(self, num_heads: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout

    def build(self, input_shape):
        hidden_dim = input_shape[-1]
        if hidden_dim % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the size of a token's vector. "
                f"Received: num_heads={self.num_heads}, hidden_dim={hidden_dim}"
            )
        self.attention = MaskedAttention(
            self.num_heads,
            hidden_dim // self.num_heads,
            dropout=self.dropout,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention.build(input_shape, input_shape)

    def call(self, tokens, padding_mask, training=None):
        """Attends.

        Args:
            tokens: float `(batch, tokens, hidden_dim)`.
            padding_mask: bool `(batch, tokens)`; True marks a real token.
            training: whether dropout acts.

        Returns:
            float `(batch, tokens, hidden_dim)`, and the weights: float `(batch, heads, queries, keys)`, 0 on padded
            keys.
        """
        return self.attention(
            tokens,
            tokens,
            attention_mask=padding_mask[:, None, :],
            return_attention_scores=True,
            training=training,
        )

    def get_config(self):
        return {**super().get_config(), "num_heads": self.num_heads, "dropout": self.dropout}
