"""Cross-entropy that does not ask for certainty."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy against the label mixed with all classes alike (Szegedy et al. 2016, section 7).

    Args:
        label_smoothing: share of the target that is spread over all classes; 0 is plain cross-entropy.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "smoothed_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Compares.

        Args:
            y_true: int `(batch,)` or `(batch, 1)`; class ids.
            y_pred: float `(batch, classes)`; logits.

        Returns:
            float `(batch,)`.
        """
        log_probabilities = ops.log_softmax(y_pred)
        target = ops.one_hot(ops.reshape(y_true, (-1,)), ops.shape(y_pred)[-1], dtype=y_pred.dtype)
        of_label = ops.sum(target * log_probabilities, axis=-1)
        of_all = ops.mean(log_probabilities, axis=-1)
        return -((1 - self.label_smoothing) * of_label + self.label_smoothing * of_all)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
