"""One class out of several that have an order, like stars: being off by one is better than by three."""

import functools

import keras
import tensorflow as tf
from keras import ops

from models.heads.rising_thresholds import RisingThresholds
from models.labels import Target, single_label
from models.labels.class_names import for_each_row, learn_class_ids, sort_classes
from models.losses.ordinal_cross_entropy import OrdinalCrossEntropy
from models.raw import dense
from models.spec import OrdinalHead, TrainOptions
from models.vocabulary import Counts


def transform(label: tf.Tensor | tf.SparseTensor, name: str, head: OrdinalHead) -> tf.Tensor:
    """Turns class names into ids, from 0 for the lowest.

    Args:
        label: string, one value per row.
        name: of the head.
        head: the order.

    Returns:
        int64 `(batch,)`; `UNSEEN_ID` for a class without a place in the order.
    """
    return learn_class_ids(
        dense(label, "category"), name, functools.partial(sort_levels, name=name, levels=head.levels)
    )


def sort_levels(counts: Counts, name: str, levels: tuple[str, ...]) -> list[bytes]:
    """The levels that the config gives, whether they occur or not; or the values that occur, as numbers.

    Raises:
        ValueError: a value is none of the levels, or no number where no levels are given.
    """
    values = [value.decode() for value in sort_classes(counts)]
    if levels:
        unknown = sorted(set(values) - set(levels))
        if unknown:
            raise ValueError(
                f"`heads.{name}.levels` must name every class. Received: {list(levels)}; unnamed: {unknown}"
            )
        return [level.encode() for level in levels]
    try:
        return [value.encode() for value in sorted(values, key=float)]
    except ValueError:
        raise ValueError(
            f"`heads.{name}.levels` must give the classes' order, from the lowest on, since they are not all numbers. "
            f"Received: {values}"
        ) from None


read_labels, find_target = single_label.read_labels, single_label.find_target
"""The ids, and the classes from the lowest to the highest: once they are in order, it is the same."""


def score(pooled: keras.KerasTensor, name: str, target: Target) -> keras.KerasTensor:
    """Scores whether the class is above each of all levels but the highest.

    One direction is shared by all levels (Cao, Mirjalili and Raschka 2020, section 3.3); their thresholds rise by
    construction, so that a higher level is never the more probable to be exceeded.

    Returns:
        float32 `(batch, classes - 1)`, falling from left to right.
    """
    direction = keras.layers.Dense(1, use_bias=False, dtype="float32", name=f"{name}_direction")(pooled)
    return RisingThresholds(len(target.classes) - 1, dtype="float32", name=name)(direction)


def class_names(logits: str, target: Target) -> dict[str, list[str]]:
    """The first threshold by the two levels that it parts, a step between thresholds by the three that they part."""
    levels = target.classes
    steps = [" | ".join(levels[place : place + 3]) for place in range(len(levels) - 2)]
    return {f"{logits}/first_bias": [" | ".join(levels[:2])], f"{logits}/steps_bias": steps}


def loss(options: TrainOptions, target: Target) -> keras.losses.Loss:
    """Cross-entropy at every threshold."""
    return OrdinalCrossEntropy()


def metrics(target: Target) -> list[keras.metrics.Metric]:
    """The share of rows whose class is right, and by how many levels the others are off, all rows' mean."""
    return [
        keras.metrics.MeanMetricWrapper(_is_right, name="accuracy"),
        keras.metrics.MeanMetricWrapper(_levels_off, name="levels_off"),
    ]


def _is_right(y_true, y_pred):
    return ops.cast(_levels_off(y_true, y_pred) == 0, "float32")


def _levels_off(y_true, y_pred):
    level = ops.sum(ops.cast(y_pred > 0, "int32"), axis=-1)
    return ops.cast(ops.abs(level - ops.cast(ops.reshape(y_true, (-1,)), "int32")), "float32")


def answer(logits: tf.Tensor, head: OrdinalHead, target: Target) -> dict[str, tf.Tensor]:
    """Names the median class, which is off by the fewest levels on average.

    Returns:
        `label`: string `(batch,)`; `probabilities`: float32 `(batch, classes)`, 1 in sum; `classes`: string
        `(batch, classes)`, from the lowest to the highest.
    """
    above = tf.sigmoid(logits)
    edge = tf.ones_like(above[:, :1])
    return {
        "label": tf.gather(tf.constant(target.classes), tf.reduce_sum(tf.cast(logits > 0, tf.int32), axis=-1)),
        "probabilities": tf.concat([edge, above], axis=-1) - tf.concat([above, 0 * edge], axis=-1),
        "classes": for_each_row(target.classes, logits),
    }
