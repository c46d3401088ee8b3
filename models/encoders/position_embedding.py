"""Where in its text a token stands."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector for each position.

    Args:
        max_len: the most tokens of a row.
    """

    def __init__(self, max_len: int, **kwargs):
        super().__init__(**kwargs)
        self.max_len = max_len

    def build(self, input_shape):
        self.positions = self.add_weight(
            shape=(self.max_len, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
        )

    def call(self, tokens):
        """Adds the positions.

        Args:
            tokens: float `(batch, tokens, hidden_dim)`.

        Returns:
            float, the same shape.
        """
        return tokens + self.positions[: ops.shape(tokens)[1]]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "max_len": self.max_len}
