"""Any number of classes at once, none too: each is judged by itself."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.labels import Target, single_label
from models.labels.class_names import UNSEEN_ID, for_each_row, learn_class_ids, read_classes, sort_classes
from models.spec import MultiLabelHead, TrainOptions


def transform(label: tf.Tensor | tf.SparseTensor, name: str, head: MultiLabelHead) -> tf.SparseTensor:
    """Turns class names into ids.

    Args:
        label: string, any number of values per row.
        name: of the head.
        head: not needed here.

    Returns:
        sparse int64 `(batch, values)`; `UNSEEN_ID` for a class that the analysed split does not have.
    """
    if not isinstance(label, tf.SparseTensor):
        label = tf.sparse.from_dense(tf.reshape(label, [tf.shape(label)[0], -1]))
    return learn_class_ids(label, name, sort_classes)


def read_labels(column: tf.RaggedTensor, name: str, transform_output: tft.TFTransformOutput) -> np.ndarray:
    """Which classes hold: int8 `(rows, classes)`, 1 or 0; a row with a class that train lacks is all `UNSEEN_ID`."""
    classes = len(read_classes(transform_output, name))
    labels = np.zeros((int(column.nrows()), classes), np.int8)
    rows, ids = column.value_rowids().numpy(), column.flat_values.numpy()
    labels[rows[ids != UNSEEN_ID], ids[ids != UNSEEN_ID]] = 1
    labels[rows[ids == UNSEEN_ID]] = UNSEEN_ID
    return labels


def find_target(labels: np.ndarray, name: str, transform_output: tft.TFTransformOutput) -> Target:
    """The classes; there may be a single one, which holds or not.

    Raises:
        ValueError: there is none.
    """
    classes = read_classes(transform_output, name)
    if not classes:
        raise ValueError(f"The train split must hold at least one class of `{name}`. Received: none in any row")
    return Target(classes)


def score(pooled: keras.KerasTensor, name: str, target: Target) -> keras.KerasTensor:
    """Scores each class: float32 `(batch, classes)`, 0 meaning as probable as not."""
    return keras.layers.Dense(len(target.classes), dtype="float32", name=name)(pooled)


class_names = single_label.class_names


def loss(options: TrainOptions, target: Target) -> keras.losses.Loss:
    """Cross-entropy of each class against its absence, or its focal form (Lin et al. 2017, eq. 4); their mean."""
    if options.loss == "focal":
        return keras.losses.BinaryFocalCrossentropy(
            gamma=options.focal_gamma, from_logits=True, label_smoothing=options.label_smoothing
        )
    return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=options.label_smoothing)


def metrics(target: Target) -> list[keras.metrics.Metric]:
    """The share of all verdicts, one a class and row, that are right."""
    return [keras.metrics.BinaryAccuracy(name="binary_accuracy", threshold=0.0)]


def answer(logits: tf.Tensor, head: MultiLabelHead, target: Target) -> dict[str, tf.Tensor]:
    """Names all classes that hold.

    Returns:
        `label`: string `(batch,)`, the classes whose probability reaches the threshold, joined by the separator in
        alphabetical order, `""` if there is none; `probabilities`: float32 `(batch, classes)`, each by itself from 0
        to 1; `classes`: string `(batch, classes)`.
    """
    probabilities = tf.sigmoid(logits)
    classes = for_each_row(target.classes, logits)
    holding = tf.ragged.boolean_mask(classes, probabilities >= head.threshold)
    return {
        "label": tf.strings.reduce_join(holding, axis=-1, separator=head.separator),
        "probabilities": probabilities,
        "classes": classes,
    }
