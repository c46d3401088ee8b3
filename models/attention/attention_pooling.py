"""Many tokens → one vector, with weights that say which tokens made it."""

import keras
from keras import ops


def weighted_sum(weights, tokens):
    """The pooled vector.

    Args:
        weights: float32 `(batch, tokens)`.
        tokens: float `(batch, tokens, hidden_dim)`.

    Returns:
        float32 `(batch, hidden_dim)`.
    """
    return ops.einsum("bt,bth->bh", weights, ops.cast(tokens, "float32"))


@keras.saving.register_keras_serializable(package="attention")
class AttentionPooling(keras.layers.Layer):
    """Averages tokens with the weights that a learned query gives them.

    `softmax(tanh(H W + b) q)` over the real tokens (Yang et al. 2016, eq. 5-6); weights and sum are float32 at least.

    Args:
        query_initializer: `zeros` begins with the mean of the tokens.
    """

    def __init__(self, query_initializer: str = "glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.query_initializer = query_initializer

    def build(self, input_shape):
        self.projection = keras.layers.Dense(input_shape[-1], "tanh", dtype=self.dtype_policy, name="projection")
        self.projection.build(input_shape)
        self.query = self.add_weight(shape=(input_shape[-1],), initializer=self.query_initializer, name="query")

    def call(self, tokens, padding_mask):
        """Pools.

        Args:
            tokens: float `(batch, tokens, hidden_dim)`.
            padding_mask: bool `(batch, tokens)`; True marks a real token, of which each row has at least one.

        Returns:
            float32 `(batch, hidden_dim)`, and the weights: float32 `(batch, tokens)`, 0 on padding, sum 1.
        """
        scores = ops.cast(ops.matmul(self.projection(tokens), self.query), "float32")
        scores = ops.where(padding_mask, scores, -float("inf"))
        weights = ops.softmax(scores, axis=-1)
        return weighted_sum(weights, tokens), weights

    def get_config(self):
        return {**super().get_config(), "query_initializer": self.query_initializer}
