"""Squared error of a number in units of its own spread."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
class ScaledSquaredError(keras.losses.Loss):
    """`(z - (y - mean) / deviation)²`, so that years and millions are learnt alike.

    Args:
        mean: of the label.
        deviation: standard deviation of the label.
    """

    def __init__(self, mean: float, deviation: float, name: str = "scaled_squared_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.mean = mean
        self.deviation = deviation

    def call(self, y_true, y_pred):
        """Compares.

        Args:
            y_true: float `(batch,)` or `(batch, 1)`; the label.
            y_pred: float `(batch, 1)`; z-score.

        Returns:
            float `(batch,)`.
        """
        z_score = (ops.reshape(y_true, (-1,)) - self.mean) / self.deviation
        return ops.square(ops.reshape(y_pred, (-1,)) - z_score)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "deviation": self.deviation}
