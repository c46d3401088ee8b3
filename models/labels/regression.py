"""A number."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from keras import ops

from models.labels import Target
from models.losses.scaled_squared_error import ScaledSquaredError
from models.raw import dense
from models.spec import RegressionHead, TrainOptions


def transform(label: tf.Tensor | tf.SparseTensor, name: str, head: RegressionHead) -> tf.Tensor:
    """Leaves the number as it is: float32 `(batch,)`."""
    return dense(label, "number")


def read_labels(column: tf.Tensor, name: str, transform_output: tft.TFTransformOutput) -> np.ndarray:
    """The numbers, float32 `(rows,)`."""
    return column.numpy()


def find_target(labels: np.ndarray, name: str, transform_output: tft.TFTransformOutput) -> Target:
    """Mean and standard deviation over the rows, whose order does not count: they are added up exactly enough.

    Raises:
        ValueError: all numbers are the same.
    """
    exact = np.sort(labels.astype(np.float64))
    if exact[0] == exact[-1]:
        raise ValueError(f"The train split must hold different numbers of `{name}`. Received: only {exact[0]:g}")
    return Target(mean=float(exact.mean()), deviation=float(exact.std()))


def score(pooled: keras.KerasTensor, name: str, target: Target) -> keras.KerasTensor:
    """The number's z-score: float32 `(batch, 1)`."""
    return keras.layers.Dense(1, dtype="float32", name=name)(pooled)


def class_names(logits: str, target: Target) -> dict[str, list[str]]:
    """None: there are no classes."""
    return {}


def rescale(weights: Sequence[np.ndarray], before: Target, after: Target) -> list[np.ndarray]:
    """A kernel, and a bias if there is one, that predict the same numbers by another mean and deviation."""
    kernel, *biases = weights
    factor = before.deviation / after.deviation
    return [kernel * factor, *(bias * factor + (before.mean - after.mean) / after.deviation for bias in biases)]


def loss(options: TrainOptions, target: Target) -> keras.losses.Loss:
    """Squared error of the z-score."""
    return ScaledSquaredError(target.mean, target.deviation)


def metrics(target: Target) -> list[keras.metrics.Metric]:
    """Mean absolute error in the label's own unit."""
    return [keras.metrics.MeanMetricWrapper(functools.partial(_absolute_error, target=target), name="absolute_error")]


def _absolute_error(y_true, y_pred, target: Target):
    return ops.abs(ops.reshape(y_pred, (-1,)) * target.deviation + target.mean - ops.reshape(y_true, (-1,)))


def answer(logits: tf.Tensor, head: RegressionHead, target: Target) -> dict[str, tf.Tensor]:
    """Gives the number in the label's own unit: `value`, float32 `(batch,)`."""
    return {"value": logits[:, 0] * target.deviation + target.mean}
