import keras
import numpy as np
import pytest
import tensorflow as tf

from models.spec import TrainOptions
from models.training.optimizer import make_optimizer


def rate_at(optimizer, step):
    return float(optimizer._learning_rate(step))


def test_the_rate_rises_and_then_falls_to_zero():
    optimizer = make_optimizer(TrainOptions(epochs=2, learning_rate=0.1, warmup_ratio=0.1), steps_per_epoch=50)
    assert rate_at(optimizer, 0) == 0
    assert rate_at(optimizer, 5) == pytest.approx(0.05)
    assert rate_at(optimizer, 10) == pytest.approx(0.1)
    assert rate_at(optimizer, 55) == pytest.approx(0.05, rel=1e-3)
    assert rate_at(optimizer, 100) == pytest.approx(0, abs=1e-7)


def test_without_warmup_the_rate_begins_at_its_top():
    optimizer = make_optimizer(TrainOptions(epochs=1, learning_rate=0.1, warmup_ratio=0), steps_per_epoch=10)
    assert rate_at(optimizer, 0) == pytest.approx(0.1)


def test_a_linear_schedule_falls_in_a_line_and_a_constant_one_stays():
    options = TrainOptions(epochs=2, learning_rate=0.1, warmup_ratio=0.1, schedule="linear")
    optimizer = make_optimizer(options, steps_per_epoch=50)
    rates = [rate_at(optimizer, step) for step in (0, 5, 10, 55, 100, 101)]
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 0.05, 0, 0], atol=1e-7)
    optimizer = make_optimizer(options.model_copy(update={"schedule": "constant"}), steps_per_epoch=50)
    np.testing.assert_allclose([rate_at(optimizer, step) for step in (0, 5, 10, 99)], [0, 0.05, 0.1, 0.1])


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_any_schedule_without_warmup_begins_at_its_top(schedule):
    options = TrainOptions(epochs=1, learning_rate=0.1, warmup_ratio=0, schedule=schedule)
    assert rate_at(make_optimizer(options, steps_per_epoch=10), 0) == pytest.approx(0.1)


def test_biases_and_norms_do_not_decay():
    layers = [keras.layers.Dense(2, name="dense"), keras.layers.LayerNormalization(name="norm")]
    for layer in layers:
        layer.build((None, 2))
        layer.set_weights([np.ones(weight.shape) for weight in layer.get_weights()])
    variables = [weight for layer in layers for weight in layer.trainable_weights]
    options = TrainOptions(epochs=1, learning_rate=0.1, weight_decay=0.5, warmup_ratio=0)
    optimizer = make_optimizer(options, steps_per_epoch=10)
    optimizer.build(variables)
    optimizer.apply([np.zeros(variable.shape, "float32") for variable in variables])
    decayed = {variable.name for variable in variables if np.all(np.asarray(variable) < 1)}
    assert decayed == {"kernel"}


def test_gradients_are_clipped_by_their_common_norm():
    assert make_optimizer(TrainOptions(clip_norm=0.3), steps_per_epoch=1).global_clipnorm == 0.3


def step(options, value=1.0, gradients=(1.0,), rates=None):
    """A variable's value after a step for each gradient."""
    layer = keras.layers.Dense(1, use_bias=False, name="dense")
    layer.build((None, 1))
    layer.set_weights([np.full((1, 1), value, "float32")])
    optimizer = make_optimizer(options, steps_per_epoch=len(gradients), rates=rates or {})
    optimizer.build(layer.trainable_weights)
    for gradient in gradients:
        optimizer.apply([np.full((1, 1), gradient, "float32")])
    return float(np.asarray(layer.kernel)[0, 0])


PLAIN = TrainOptions(epochs=1, learning_rate=0.1, weight_decay=0, warmup_ratio=0, schedule="constant", clip_norm=100)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("sgd", 1 - 0.1 * 0.5),
        ("adam", 1 - 0.1),  # the first step of Adam is the sign of the gradient
        ("adamw", 1 - 0.1),
        ("lion", 1 - 0.1),
        ("adafactor", 1 - 0.1),  # scaled by the size of the variable, which is 1
    ],
)
def test_each_optimizer_steps_in_its_own_way(optimizer, expected):
    assert step(PLAIN.model_copy(update={"optimizer": optimizer}), gradients=(0.5,)) == pytest.approx(
        expected, rel=1e-4
    )


def test_weight_decay_works_with_each_optimizer():
    for optimizer in ("sgd", "adam", "adamw", "lion", "adafactor"):
        options = PLAIN.model_copy(update={"optimizer": optimizer, "weight_decay": 0.5})
        assert step(options, gradients=(0.0,)) == pytest.approx(1 - 0.1 * 0.5), optimizer


def test_momentum_keeps_sgd_going():
    options = PLAIN.model_copy(update={"optimizer": "sgd"})
    assert step(options, gradients=(1.0, 0.0)) == pytest.approx(1 - 0.1 - 0.09)
    assert step(options.model_copy(update={"momentum": 0.0}), gradients=(1.0, 0.0)) == pytest.approx(0.9)


def test_accumulated_gradients_are_one_step_of_their_mean():
    options = PLAIN.model_copy(update={"optimizer": "sgd", "gradient_accumulation_steps": 2})
    assert step(options, gradients=(1.0,)) == 1
    assert step(options, gradients=(1.0, 2.0)) == pytest.approx(1 - 0.1 * 1.5)


def test_the_rate_falls_to_zero_at_the_last_batch_where_gradients_are_accumulated():
    options = PLAIN.model_copy(
        update={"optimizer": "sgd", "momentum": 0.0, "schedule": "linear", "gradient_accumulation_steps": 2}
    )
    # The updates come with the second and the fourth of four batches, at 3/4 and at 1/4 of the rate.
    assert step(options, gradients=(1.0, 1.0)) == pytest.approx(1 - 0.1 * 0.5)
    assert step(options, gradients=(1.0, 1.0, 1.0, 1.0)) == pytest.approx(1 - 0.1 * (0.75 + 0.25))


def test_a_variable_can_learn_at_its_own_rate():
    options = PLAIN.model_copy(update={"optimizer": "sgd"})
    assert step(options, rates={"dense/kernel": 0.25}) == pytest.approx(1 - 0.025)
    assert step(options, rates={"other": 0.25}) == pytest.approx(1 - 0.1)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_in_one_kernel_steps_as_that_of_keras_does(name):
    """Dense gradients, and those of an embedding of which a step sees few rows, one of them twice."""
    options = TrainOptions(
        epochs=1, optimizer=name, learning_rate=0.1, weight_decay=0.3, warmup_ratio=0, schedule="constant", clip_norm=1
    )
    theirs = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}[name](
        learning_rate=0.1, weight_decay=0.3, global_clipnorm=1
    )
    random = np.random.default_rng(0)
    start = [random.normal(size=shape).astype("float32") for shape in ((5, 3), (3, 2))]
    seen = {}
    for optimizer in (make_optimizer(options, steps_per_epoch=10), theirs):
        variables = [keras.Variable(value, name=f"kernel_{number}") for number, value in enumerate(start)]
        random = np.random.default_rng(1)
        for _ in range(6):
            rows = tf.IndexedSlices(random.normal(size=(3, 3)).astype("float32"), [4, 0, 4], [5, 3])
            optimizer.apply([rows, random.normal(size=(3, 2)).astype("float32")], variables)
        seen[optimizer] = [np.asarray(variable) for variable in variables]
    for ours, other, before in zip(*seen.values(), start, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-5)
        assert np.all(ours != before)
