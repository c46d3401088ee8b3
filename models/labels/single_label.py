"""One class out of several."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.labels import Target
from models.labels.class_names import for_each_row, learn_class_ids, read_classes, require_two, sort_classes
from models.losses.focal_loss import FocalLoss
from models.losses.lifted_triplet import LiftedTriplet
from models.losses.smoothed_cross_entropy import SmoothedCrossEntropy
from models.losses.supervised_contrastive import SupervisedContrastive
from models.raw import dense
from models.spec import SingleLabelHead, TrainOptions


def transform(label: tf.Tensor | tf.SparseTensor, name: str, head: SingleLabelHead) -> tf.Tensor:
    """Turns class names into ids.

    Args:
        label: string, one value per row.
        name: of the head.
        head: not needed here.

    Returns:
        int64 `(batch,)`; `UNSEEN_ID` for a class that the analysed split does not have.
    """
    return learn_class_ids(dense(label, "category"), name, sort_classes)


def read_labels(column: tf.Tensor, name: str, transform_output: tft.TFTransformOutput) -> np.ndarray:
    """The ids, int32 `(rows,)`."""
    return column.numpy()


def find_target(labels: np.ndarray, name: str, transform_output: tft.TFTransformOutput) -> Target:
    """The classes.

    Raises:
        ValueError: there are fewer than two.
    """
    classes = read_classes(transform_output, name)
    require_two(classes, name)
    return Target(classes)


def score(pooled: keras.KerasTensor, name: str, target: Target) -> keras.KerasTensor:
    """Scores each class.

    Args:
        pooled: float `(batch, hidden_dim)`.
        name: of the layer.
        target: the classes.

    Returns:
        float32 `(batch, classes)`, whatever the precision of the layers before.
    """
    return keras.layers.Dense(len(target.classes), dtype="float32", name=name)(pooled)


def class_names(logits: str, target: Target) -> dict[str, list[str]]:
    """The classes, in the kernel and in the bias."""
    return {f"{logits}/{part}": list(target.classes) for part in ("kernel", "bias")}


def loss(options: TrainOptions, target: Target) -> keras.losses.Loss:
    """The loss that the options name."""
    if options.loss == "focal":
        return FocalLoss(options.focal_gamma, options.label_smoothing)
    return SmoothedCrossEntropy(options.label_smoothing)


def similarity_loss(head: SingleLabelHead) -> keras.losses.Loss:
    """The loss of each row that the head names: of class ids and embeddings, float `(batch, embedding_dim)`."""
    if head.similarity == "triplet":
        return LiftedTriplet(reduction="none")
    return SupervisedContrastive(head.temperature, reduction="none")


def metrics(target: Target) -> list[keras.metrics.Metric]:
    """The share of rows whose class is right; with class weights that is about the mean of all classes' recall."""
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


def answer(logits: tf.Tensor, head: SingleLabelHead, target: Target) -> dict[str, tf.Tensor]:
    """Names the most probable class.

    Returns:
        `label`: string `(batch,)`; `probabilities`: float32 `(batch, classes)`, 1 in sum; `classes`: string
        `(batch, classes)`.
    """
    return {
        "label": tf.gather(tf.constant(target.classes), tf.argmax(logits, axis=-1)),
        "probabilities": tf.nn.softmax(logits),
        "classes": for_each_row(target.classes, logits),
    }
