import keras
import numpy as np
import pytest

from models.training.penalty import penalize


@pytest.fixture
def network():
    network = keras.Sequential([keras.Input([2]), keras.layers.Dense(1), keras.layers.LayerNormalization()])
    for variable in network.trainable_variables:
        variable.assign(np.full(variable.shape, 2.0))
    return network


def test_the_squares_of_kernels_join_the_loss_and_biases_and_norms_do_not(network):
    penalize(network, 0.1)
    assert float(sum(network.losses)) == pytest.approx(0.1 * (2**2 + 2**2))
    shared = keras.Model(network.inputs, network.layers[0].output)
    assert float(sum(shared.losses)) == pytest.approx(0.8)


def test_none_leaves_the_loss_alone(network):
    penalize(network, 0.0)
    assert network.losses == []


def test_a_step_pulls_a_weight_that_the_rows_say_nothing_of(network):
    penalize(network, 0.1)
    network.compile(keras.optimizers.SGD(0.5), "mean_squared_error")
    before = float(network.layers[0].kernel[0, 0])
    network.train_on_batch(np.zeros((1, 2), np.float32), np.full((1, 1), 2.0, np.float32))  # the norm answers 2 itself
    assert float(network.layers[0].kernel[0, 0]) == pytest.approx(before * (1 - 0.5 * 2 * 0.1))
