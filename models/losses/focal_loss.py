"""Cross-entropy that looks at what is not yet known."""

import keras
from keras import ops

from models.losses.smoothed_cross_entropy import SmoothedCrossEntropy


@keras.saving.register_keras_serializable(package="attention")
class FocalLoss(SmoothedCrossEntropy):
    """`-(1 - p)^gamma log p`, summed over the classes by their share of the target (Lin et al. 2017, eq. 4).

    Args:
        gamma: how much less a row counts that is well judged already; 0 is cross-entropy.
        label_smoothing: share of the target that is spread over all classes.
    """

    def __init__(self, gamma: float = 2.0, label_smoothing: float = 0.0, name: str = "focal_loss", **kwargs):
        super().__init__(label_smoothing, name, **kwargs)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        log_probabilities = ops.log_softmax(y_pred)
        classes = ops.shape(y_pred)[-1]
        target = ops.one_hot(ops.reshape(y_true, (-1,)), classes, dtype=y_pred.dtype)
        target = (1 - self.label_smoothing) * target + self.label_smoothing / classes
        unknown = ops.maximum(1 - ops.exp(log_probabilities), keras.config.epsilon())  # 0 has no slope to a power
        return -ops.sum(target * unknown**self.gamma * log_probabilities, axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}
