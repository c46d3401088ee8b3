import dataclasses
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as determinism

from models.input_fn import Split, read_split
from models.labels import Target
from models.network import build_network
from models.spec import TrainOptions
from models.training import loop
from models.training.loop import class_weights, train

pytestmark = pytest.mark.slow

TARGETS = {"label": Target(("no", "yes"))}
SIZES = {"word_pieces": 200, "department_values": 2}


@pytest.fixture(scope="module")
def data(spec, splits, transform_output) -> tuple[Split, Split]:
    return tuple(read_split([splits[name]], transform_output, spec) for name in ("train", "eval"))


def train_fresh(spec, data, directory, **options):
    """Trains a fresh network and gives it back with the outcome."""
    keras.utils.set_random_seed(0)
    network = build_network(spec, SIZES, TARGETS)
    spec = spec.model_copy(update={"train": spec.train.model_copy(update=options)})
    return network, train(network, *data, spec, TARGETS, str(directory / "checkpoint"), str(directory / "log"))


@pytest.fixture
def run(spec, data, tmp_path):
    def run_in(directory="a", eval_split=data[1], **options):
        return train_fresh(spec, (data[0], eval_split), tmp_path / directory, **options)

    return run_in


@pytest.fixture(scope="module")
def whole(spec, data, tmp_path_factory):
    """A training by the plain options that nothing disturbed, and where its files lie."""
    directory = tmp_path_factory.mktemp("whole")
    return *train_fresh(spec, data, directory), directory


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def same_weights(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left.get_weights(), right.get_weights(), strict=True))


def test_learns_what_gives_the_label_away(run):
    _, outcome = run(epochs=8, early_stopping_patience=0)
    assert outcome.curve[-1]["val_accuracy"] > 0.9
    assert outcome.curve[-1]["loss"] < outcome.curve[0]["loss"]
    assert outcome.rows_per_second > 0


def test_two_runs_with_one_seed_are_equal(run, whole):
    network, outcome = run()
    assert outcome.curve == whole[1].curve
    assert same_weights(network, whole[0])


def test_another_seed_is_another_run(run, whole):
    assert run(seed=1)[1].curve != whole[1].curve


def kill(monkeypatch, run, kill_at, **options):
    """Trains until a kill at the step `kill_at`."""
    steps = iter(range(1, 1000))

    class Kill(loop.StopWithoutLoss):
        def on_train_batch_end(self, batch, logs=None):
            if next(steps) == kill_at:
                raise Killed(f"at step {kill_at}")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopWithoutLoss", Kill)
        with pytest.raises(Killed, match="at step"):
            run("killed", **options)


@pytest.mark.parametrize("kill_at", [5, 13])  # in the middle of either epoch, after its first checkpoint
def test_goes_on_after_a_kill_as_if_nothing_had_been(run, whole, monkeypatch, kill_at):
    kill(monkeypatch, run, kill_at)
    resumed, outcome = run("killed")
    assert outcome.curve == whole[1].curve
    assert same_weights(whole[0], resumed)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "loss": "focal", "schedule": "linear"},
        {"optimizer": "lion", "learning_rate": 1e-3, "gradient_accumulation_steps": 4},  # 3 of 4 batches are summed up
        {"optimizer": "adafactor", "class_weights": "effective_number", "schedule": "constant"},
    ],
    ids=lambda options: options["optimizer"],
)
def test_every_option_has_its_state_in_the_checkpoint(run, monkeypatch, options):
    network, outcome = run(**options)
    kill(monkeypatch, run, 9 + 4, **options)
    resumed, of_resumed = run("killed", **options)
    assert of_resumed.curve == outcome.curve
    assert same_weights(network, resumed)


def test_a_focal_loss_is_less_than_cross_entropy_and_learns_too(run, whole):
    _, focal = run(loss="focal", epochs=12, early_stopping_patience=0)
    assert focal.curve[0]["loss"] < whole[1].curve[0]["loss"]
    assert focal.curve[-1]["val_accuracy"] > 0.9


def test_xla_gives_the_same_curve(spec, data, tmp_path):
    determinism.disable_op_determinism()  # which trainings of other tests have switched on, and XLA refuses
    model = spec.model.model_copy(update={"dropout": 0.0, "bigram_dropout": 0.0})  # chance depends on the padding
    spec = spec.model_copy(update={"model": model})
    curves = [
        train_fresh(spec, data, tmp_path / str(compiled), epochs=1, jit_compile=compiled)[1].curve
        for compiled in (False, True)
    ]
    assert curves[1][0] == pytest.approx(curves[0][0], rel=1e-3)


def test_keeps_the_best_weights_and_stops(run, data):
    wrong = dataclasses.replace(
        data[1], labels={"label": 1 - data[1].labels["label"]}
    )  # the better on train, the worse on eval
    network, outcome = run(eval_split=wrong, epochs=12, early_stopping_patience=2)
    marks = [(-logs["val_accuracy"], logs["val_loss"]) for logs in outcome.curve]
    assert len(marks) == outcome.best_epoch + 2 < 12
    assert marks[outcome.best_epoch - 1] == min(marks)
    # Without patience all epochs are trained, and the best one is kept all the same.
    patient, of_all = run("all", eval_split=wrong, epochs=12, early_stopping_patience=0)
    assert len(of_all.curve) == 12
    assert same_weights(network, patient)


def test_balanced_weights_give_each_class_the_same_share():
    options = TrainOptions(class_weights="balanced")
    np.testing.assert_allclose(class_weights(np.array([0, 1, 1, 1]), options), [2, 2 / 3])


def test_effective_numbers_lie_between_balanced_and_none():
    labels = np.array([0] + [1] * 99)
    by_beta = {
        beta: class_weights(labels, TrainOptions(class_weights="effective_number", class_weights_beta=beta))
        for beta in (0.0, 0.9, 0.999999)
    }
    np.testing.assert_allclose(by_beta[0.0], [1, 1])
    np.testing.assert_allclose(by_beta[0.9][0] / by_beta[0.9][1], (1 - 0.9**99) / (1 - 0.9), rtol=1e-5)
    np.testing.assert_allclose(
        by_beta[0.999999], class_weights(labels, TrainOptions(class_weights="balanced")), rtol=1e-3
    )
    for weights in by_beta.values():
        assert np.mean(weights[labels]) == pytest.approx(1)


def test_class_weights_lift_the_rare_class(run, data):
    rare = np.flatnonzero(data[0].labels["label"] == 0)
    probabilities = []
    for directory, weights in (("plain", "none"), ("balanced", "balanced")):
        network, _ = run(directory, class_weights=weights, epochs=1, learning_rate=1e-3)
        columns = {name: tf.gather(column, rare) for name, column in data[0].features.items()}
        batch = {name: c.to_tensor() if isinstance(c, tf.RaggedTensor) else c for name, c in columns.items()}
        probabilities.append(np.mean(tf.nn.softmax(network(batch)["logits"])[:, 0]))
    assert probabilities[1] > probabilities[0]


def test_a_loss_that_is_no_number_ends_in_one_sentence(run):
    with pytest.raises(FloatingPointError, match=r"lower `train.learning_rate`.* Received: loss=(nan|inf)"):
        run(learning_rate=1e30, clip_norm=1e30, warmup_ratio=0.0)


def test_progress_is_logged(run, monkeypatch, caplog):
    monkeypatch.setattr("models.training.callbacks._SECONDS_BETWEEN_REPORTS", 0)
    with caplog.at_level(logging.INFO, logger="attention.progress"):
        run()
    reports = [record.progress for record in caplog.records if record.name == "attention.progress"]
    assert len(reports) == 2 * 9 - 1  # the first step only starts the clock
    assert reports[-1]["seconds_left"] == 0
    assert reports[-1].keys() == {"epoch", "epochs", "step", "steps", "loss", "metrics", "seconds_left"}
    assert (reports[-1]["epoch"], reports[-1]["step"], reports[-1]["steps"]) == (2, 9, 9)
    assert "epoch 2/2, step 9/9, loss " in caplog.text


def test_progress_is_not_logged_at_every_step(run, caplog):
    with caplog.at_level(logging.INFO, logger="attention.progress"):
        run()
    assert len([record for record in caplog.records if record.name == "attention.progress"]) < 2 * 9


def test_tensorboard_finds_the_curve(whole):
    _, outcome, directory = whole
    found = {}
    for part in ("train", "validation"):
        for path in directory.glob(f"log/{part}/events*"):
            for record in tf.data.TFRecordDataset(str(path)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    found[part, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert found["train", "epoch_loss", 1] == pytest.approx(outcome.curve[1]["loss"])
    assert found["validation", "epoch_accuracy", 0] == pytest.approx(outcome.curve[0]["val_accuracy"])
