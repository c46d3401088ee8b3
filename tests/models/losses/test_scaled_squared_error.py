import keras
import numpy as np

from models.losses.scaled_squared_error import ScaledSquaredError


def test_is_measured_in_the_label_s_own_spread():
    loss = ScaledSquaredError(mean=100.0, deviation=10.0, reduction="none")
    np.testing.assert_allclose(loss(np.array([120.0, 100.0]), np.array([[0.5], [-1.0]])), [2.25, 1.0], rtol=1e-6)


def test_it_can_be_saved():
    loss = keras.losses.deserialize(keras.losses.serialize(ScaledSquaredError(1.0, 2.0)))
    assert (loss.mean, loss.deviation) == (1.0, 2.0)
