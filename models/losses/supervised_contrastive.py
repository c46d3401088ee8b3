"""Rows of a class near each other, all others further away: by all pairs of a batch."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
class SupervisedContrastive(keras.losses.Loss):
    """`-1/|P(i)| Σ_p log(exp(z_i·z_p / τ) / Σ_a exp(z_i·z_a / τ))` of each row (Khosla et al. 2020, eq. 2).

    `P(i)` are the other rows of its class, `a` runs over all other rows. A row that is alone in its class counts 0.

    Args:
        temperature: τ; the smaller, the more the nearest rows count. Gunel et al. 2021 found 0.3 best for texts.
    """

    def __init__(self, temperature: float = 0.3, name: str = "supervised_contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        self.temperature = temperature

    def call(self, y_true, y_pred):
        """Compares.

        Args:
            y_true: int `(batch,)` or `(batch, 1)`; class ids.
            y_pred: float `(batch, embedding_dim)`; embeddings of length 1.

        Returns:
            float `(batch,)`.
        """
        is_positive, is_other = pairs(y_true)
        similarity = ops.matmul(y_pred, ops.transpose(y_pred)) / self.temperature
        # Finite, so that a row without another has no infinity to subtract from itself.
        of_others = ops.logsumexp(ops.where(is_other, similarity, -1e9), axis=1, keepdims=True)
        of_positives = ops.sum(ops.where(is_positive, similarity - of_others, 0.0), axis=1)
        positives = ops.sum(ops.cast(is_positive, y_pred.dtype), axis=1)
        return -of_positives / ops.maximum(positives, 1.0)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def pairs(y_true):
    """Tells which rows of a batch are of one class.

    Args:
        y_true: int `(batch,)` or `(batch, 1)`; class ids.

    Returns:
        bool `(batch, batch)`: another row of the same class; any other row.
    """
    ids = ops.reshape(y_true, (-1,))
    rows = ops.arange(ops.shape(ids)[0])
    is_other = rows[:, None] != rows[None, :]
    return (ids[:, None] == ids[None, :]) & is_other, is_other
