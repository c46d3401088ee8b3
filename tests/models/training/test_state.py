"""Tests what a checkpoint costs; that a training goes on from it is shown by killed trainings in test_trainer."""

import tracemalloc

import keras
import numpy as np

from models.training.state import TrainingState


def compiled(*layers):
    network = keras.Sequential(layers)
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def test_a_checkpoint_is_written_array_by_array(tmp_path):
    layers = [keras.layers.Dense(1024) for _ in range(4)]  # 4 MiB each, and twice that of moments
    network = compiled(keras.Input((1024,)), *layers)
    state = TrainingState(network, str(tmp_path))
    tracemalloc.start()
    state.save()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * (tmp_path / "checkpoint.npz").stat().st_size  # one array at a time

    weights = network.get_weights()
    network.set_weights([np.zeros_like(weight) for weight in weights])
    assert TrainingState(network, str(tmp_path)).restore()
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_best_weights_lie_on_disk_and_no_others(tmp_path):
    network = compiled(keras.Input((1,)), keras.layers.Dense(1, use_bias=False))
    state = TrainingState(network, str(tmp_path))
    for weight, loss in ((1.0, 0.5), (2.0, 0.2), (3.0, 0.3)):
        network.set_weights([np.array([[weight]])])
        state.end_epoch({"val_loss": loss})
        state.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best_1.npz", "checkpoint.npz"]

    later = TrainingState(network, str(tmp_path))
    assert later.restore()
    np.testing.assert_array_equal(network.get_weights()[0], [[3.0]])
    later.take_best_weights()
    np.testing.assert_array_equal(network.get_weights()[0], [[2.0]])


def test_an_epoch_that_is_made_again_is_the_best_of_this_training(tmp_path):
    network = compiled(keras.Input((1,)), keras.layers.Dense(1, use_bias=False))
    state = TrainingState(network, str(tmp_path))
    network.set_weights([np.array([[1.0]])])
    state.end_epoch({"val_loss": 0.5})
    state.save()
    network.set_weights([np.array([[2.0]])])
    state.end_epoch({"val_loss": 0.2})  # killed before the checkpoint of it
    later = TrainingState(network, str(tmp_path))
    assert later.restore()
    assert later.epoch == 1
    later.end_epoch({"val_loss": 0.7})
    later.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best_0.npz", "checkpoint.npz"]
    later.take_best_weights()
    np.testing.assert_array_equal(network.get_weights()[0], [[1.0]])
