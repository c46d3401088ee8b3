"""Labels: how one lies in the Transform graph, how it is learnt, how it is answered. One file for each type of head.

A new type of head is a new module here, named like it, with the functions of `LabelType`.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Protocol, cast

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.spec import AnyHead, TrainOptions


@dataclass(frozen=True)
class Target:
    """What the train split says of a label.

    Attributes:
        classes: names of the classes in the order of their ids; none of a number.
        mean: of a number.
        deviation: standard deviation of a number, above 0.
    """

    classes: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0


class LabelType(Protocol):
    """What each module of this package offers; see `models.labels.single_label` for the words."""

    def transform(self, label: tf.Tensor | tf.SparseTensor, name: str, head: Any) -> tf.Tensor | tf.SparseTensor:
        """Raw label → transformed label, inside the Transform graph."""

    def read_labels(
        self, column: tf.Tensor | tf.RaggedTensor, name: str, transform_output: tft.TFTransformOutput
    ) -> np.ndarray:
        """Transformed label of all rows → what the loss compares with."""

    def find_target(self, labels: np.ndarray, name: str, transform_output: tft.TFTransformOutput) -> Target:
        """What the train split says of the label."""

    def score(self, pooled: keras.KerasTensor, name: str, target: Target) -> keras.KerasTensor:
        """Pooled vector → `logits`."""

    def class_names(self, logits: str, target: Target) -> dict[str, list[str]]:
        """Names along the last axis of weights of the layer `logits`: path of a variable → one name a place."""

    def loss(self, options: TrainOptions, target: Target) -> keras.losses.Loss:
        """Labels and `logits` → loss of each row."""

    def metrics(self, target: Target) -> list[keras.metrics.Metric]:
        """What is told of each epoch beside the loss."""

    def answer(self, logits: tf.Tensor, head: Any, target: Target) -> dict[str, tf.Tensor]:
        """`logits` → what is served."""


def type_of(head: AnyHead) -> LabelType:
    """The module of a head's type."""
    return cast(LabelType, importlib.import_module(f"{__name__}.{head.type}"))
