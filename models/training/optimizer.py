"""The optimizer and its learning-rate schedule."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from models.spec import TrainOptions
from models.training.replicas import without_sum

UNDECAYED = ["bias", "gamma", "beta"]
"""Names of the variables without weight decay: biases, and scale and centre of a norm."""


def _in_one_kernel(optimizer_class: Any) -> Any:
    """Derives an Adam that updates a variable by one kernel of TensorFlow: half the time of Keras's dozen passes.

    Args:
        optimizer_class: Adam or AdamW of Keras, whose formula it keeps (Kingma and Ba 2015, before section 2.1).
    """

    class OneKernel(optimizer_class):
        def update_step(self, gradient, variable, learning_rate):
            number = self._get_variable_index(variable)
            dtype = variable.dtype
            steps = ops.cast(self.iterations + 1, dtype)
            beta_1, beta_2 = ops.cast(self.beta_1, dtype), ops.cast(self.beta_2, dtype)
            weights, momentum, velocity = (
                each.value if isinstance(each, keras.Variable) else each
                for each in (variable, self._momentums[number], self._velocities[number])
            )
            tf.raw_ops.ResourceApplyAdam(
                var=weights.handle,
                m=momentum.handle,
                v=velocity.handle,
                beta1_power=ops.power(beta_1, steps),
                beta2_power=ops.power(beta_2, steps),
                lr=ops.cast(learning_rate, dtype),
                beta1=beta_1,
                beta2=beta_2,
                epsilon=ops.cast(self.epsilon, dtype),
                grad=ops.cast(tf.convert_to_tensor(gradient), dtype),
            )

    return OneKernel


_OPTIMIZERS = {
    "adamw": _in_one_kernel(keras.optimizers.AdamW),
    "adam": _in_one_kernel(keras.optimizers.Adam),
    "sgd": keras.optimizers.SGD,
    "lion": keras.optimizers.Lion,
    "adafactor": keras.optimizers.Adafactor,
}


def _with_rates(optimizer_class: Any, rates: Mapping[str, float]) -> Any:
    """Derives an optimizer that learns some variables more slowly, or faster, than others.

    Args:
        optimizer_class: one of Keras's.
        rates: path of a variable → its share of the learning rate; 1 where nothing is said.
    """

    class LayerRates(optimizer_class):
        def build(self, variables):
            super().build(variables)
            self.rates = [rates.get(variable.path, 1.0) for variable in variables]

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate * self.rates[self._get_variable_index(variable)])

    return LayerRates


def make_optimizer(
    options: TrainOptions,
    steps_per_epoch: int,
    rates: Mapping[str, float] = MappingProxyType({}),
    replicas: int = 1,
) -> keras.optimizers.Optimizer:
    """The optimizer that the options name; its rate rises linearly and then falls as the schedule says.

    Args:
        options: rates and lengths.
        steps_per_epoch: batches of one epoch.
        rates: path of a variable → its share of the learning rate; 1 where nothing is said. Weight decay keeps to the
            common rate.
        replicas: that train together; several give it the sum of their gradients.

    Returns:
        a fresh optimizer.
    """
    accumulated = options.gradient_accumulation_steps
    arguments: dict[str, Any] = {
        "learning_rate": make_schedule(options, options.epochs * steps_per_epoch),
        "weight_decay": options.weight_decay or (0.0 if options.optimizer == "adamw" else None),
        "global_clipnorm": options.clip_norm,
        "gradient_accumulation_steps": accumulated if accumulated > 1 else None,
    }
    if options.optimizer == "sgd":
        arguments["momentum"] = options.momentum
    if options.optimizer == "adafactor":
        arguments["relative_step"] = False  # else it would have a schedule of its own
    optimizer_class = _OPTIMIZERS[options.optimizer]
    if rates:
        optimizer_class = _with_rates(optimizer_class, rates)
    if replicas > 1:
        optimizer_class = without_sum(optimizer_class)
    optimizer = optimizer_class(**arguments)
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer


def make_schedule(options: TrainOptions, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate at each of `steps` batches: up linearly, then down to 0 (`linear`, `cosine`), or `constant`.

    Keras asks for it by the number of the batch, also where the gradients of several batches make one step.
    """
    warmup_steps = round(steps * options.warmup_ratio)
    decay_steps = max(steps - warmup_steps, 1)
    if options.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup_steps else options.learning_rate,
            decay_steps=decay_steps,
            warmup_target=options.learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    return WarmupDecay(options.learning_rate, warmup_steps, decay_steps if options.schedule == "linear" else None)


@keras.saving.register_keras_serializable(package="attention")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly, and falls linearly to 0 or stays.

    Args:
        learning_rate: at the top.
        warmup_steps: of the rise; 0: begin at the top.
        decay_steps: of the fall; None: stay.
    """

    def __init__(self, learning_rate: float, warmup_steps: int, decay_steps: int | None):
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps

    def __call__(self, step):
        """The rate of the step `step`, counted from 0: float32 `()`."""
        step = ops.cast(step, "float32")
        share = ops.minimum(step / max(self.warmup_steps, 1), 1.0) if self.warmup_steps else ops.ones_like(step)
        if self.decay_steps is not None:
            share = ops.minimum(share, 1 - (step - self.warmup_steps) / self.decay_steps)
        return self.learning_rate * ops.maximum(share, 0.0)

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
        }
