import keras
import numpy as np
import pytest

from models.losses.focal_loss import FocalLoss
from models.losses.smoothed_cross_entropy import SmoothedCrossEntropy

LOGITS = np.log([[0.9, 0.05, 0.05], [0.2, 0.5, 0.3]]).astype("float32")
LABELS = np.array([0, 2])


def test_by_hand():
    loss = FocalLoss(gamma=2, reduction=None)(LABELS, LOGITS)
    np.testing.assert_allclose(loss, [-(0.1**2) * np.log(0.9), -(0.7**2) * np.log(0.3)], rtol=1e-4)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_without_gamma_it_is_cross_entropy(label_smoothing):
    plain = SmoothedCrossEntropy(label_smoothing)(LABELS, LOGITS)
    np.testing.assert_allclose(FocalLoss(0, label_smoothing)(LABELS, LOGITS), plain, rtol=1e-5)


def test_a_sure_row_has_a_finite_gradient():
    import tensorflow as tf

    logits = tf.constant([[200.0, 0.0], [0.0, 200.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = FocalLoss(0.5)(np.array([0, 0]), logits)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_it_can_be_saved():
    loss = keras.losses.deserialize(keras.losses.serialize(FocalLoss(1.5, 0.1)))
    assert (loss.gamma, loss.label_smoothing) == (1.5, 0.1)
