"""Where the classes of an ordered label begin."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
class RisingThresholds(keras.layers.Layer):
    """Subtracts thresholds that rise.

    Args:
        number: of thresholds.
    """

    def __init__(self, number: int, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def build(self, input_shape):
        self.first = self.add_weight(shape=(1,), initializer="zeros", name="first_bias")
        self.steps = self.add_weight(shape=(self.number - 1,), initializer="zeros", name="steps_bias")
        super().build(input_shape)

    def call(self, inputs):
        """float `(batch, 1)` → float `(batch, number)`."""
        rises = ops.cumsum(ops.softplus(self.steps))
        return inputs - ops.concatenate([self.first, self.first + rises])

    def get_config(self):
        return {**super().get_config(), "number": self.number}
