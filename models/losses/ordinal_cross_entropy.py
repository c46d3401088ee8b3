"""Cross-entropy of a class that has an order."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
class OrdinalCrossEntropy(keras.losses.Loss):
    """Sum over all levels but the highest of the cross-entropy of "the class is above this level".

    Cao, Mirjalili and Raschka 2020, "Rank consistent ordinal regression", eq. 4, all levels counting the same.
    """

    def __init__(self, name: str = "ordinal_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Compares.

        Args:
            y_true: int `(batch,)` or `(batch, 1)`; levels, from 0 for the lowest.
            y_pred: float `(batch, levels - 1)`; logit of being above each level.

        Returns:
            float `(batch,)`.
        """
        levels = ops.arange(ops.shape(y_pred)[-1])
        above = ops.cast(ops.reshape(ops.cast(y_true, "int32"), (-1, 1)) > levels, y_pred.dtype)
        return -ops.sum(above * ops.log_sigmoid(y_pred) + (1 - above) * ops.log_sigmoid(-y_pred), axis=-1)
