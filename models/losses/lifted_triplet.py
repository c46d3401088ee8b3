"""Rows of a class near each other, all others further away: by the hard pairs of a batch."""

import keras
from keras import ops

from models.losses.supervised_contrastive import pairs


@keras.saving.register_keras_serializable(package="attention")
class LiftedTriplet(keras.losses.Loss):
    """`max(0, log Σ_p exp D(i, p) + log Σ_n exp(margin - D(i, n)))` of each row.

    The generalized lifted structure loss of Hermans, Beyer and Leibe 2017, section 2: their batch-hard triplets with a
    smooth maximum and minimum. The hard ones draw all rows to one point where a batch holds more than a few rows of a
    class. `p` are the other rows of the row's class, `n` those of other classes, D is the Euclidean distance. A row
    that has no such `p` or no such `n` counts 0.

    Args:
        margin: by how much rows of other classes shall be further away.
    """

    def __init__(self, margin: float = 1.0, name: str = "lifted_triplet", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true, y_pred):
        """Compares.

        Args:
            y_true: int `(batch,)` or `(batch, 1)`; class ids.
            y_pred: float `(batch, embedding_dim)`; embeddings of length 1.

        Returns:
            float `(batch,)`.
        """
        is_positive, is_other = pairs(y_true)
        is_negative = is_other & ~is_positive
        squares = 2.0 - 2.0 * ops.matmul(y_pred, ops.transpose(y_pred))
        distance = ops.sqrt(ops.maximum(squares, 1e-12))  # the root has no slope at 0
        furthest = ops.logsumexp(ops.where(is_positive, distance, -1e9), axis=1)
        nearest = ops.logsumexp(ops.where(is_negative, self.margin - distance, -1e9), axis=1)
        has_both = ops.any(is_positive, axis=1) & ops.any(is_negative, axis=1)
        return ops.where(has_both, ops.relu(furthest + nearest), 0.0)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
