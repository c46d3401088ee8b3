"""Tests what a checkpoint costs; that a training goes on from it is shown by killed trainings in test_trainer."""

import tracemalloc

import keras
import numpy as np

from models.training.state import TrainingState


def test_a_checkpoint_is_written_array_by_array(tmp_path):
    layers = [keras.layers.Dense(1024) for _ in range(4)]  # 4 MiB each, and twice that of moments
    network = keras.Sequential([keras.Input((1024,)), *layers])
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    state = TrainingState(network, str(tmp_path))
    tracemalloc.start()
    state.save()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * (tmp_path / "state.npz").stat().st_size  # one array at a time

    weights = network.get_weights()
    network.set_weights([np.zeros_like(weight) for weight in weights])
    assert TrainingState(network, str(tmp_path)).restore()
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
