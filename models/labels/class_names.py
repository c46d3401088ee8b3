"""The names of a label's classes: learnt from the train split, alphabetical unless they have an order of their own."""

from collections.abc import Callable

import tensorflow as tf
import tensorflow_transform as tft

from models.spec import of_head
from models.vocabulary import Counts, learn_vocabulary, read_vocabulary

UNSEEN_ID = -1
"""Id of a class that the train split does not have."""


def learn_class_ids(
    values: tf.Tensor | tf.SparseTensor, head: str, arrange: Callable[[Counts], list[bytes]]
) -> tf.Tensor | tf.SparseTensor:
    """Turns class names into ids.

    Args:
        values: string `(batch,)`, or sparse `(batch, values)`.
        head: the name of the head.
        arrange: brings the names into the order of their ids. Must be picklable.

    Returns:
        int64, in the form of `values`; `UNSEEN_ID` for a class that the analysed split does not have.
    """
    flat = values.values if isinstance(values, tf.SparseTensor) else values
    (path,) = learn_vocabulary(flat, _file(head), arrange)
    return tft.apply_vocabulary(values, path, default_value=UNSEEN_ID)


def read_classes(transform_output: tft.TFTransformOutput, head: str) -> tuple[str, ...]:
    """The names in the order of their ids."""
    return tuple(read_vocabulary(transform_output, _file(head)))


def sort_classes(counts: Counts) -> list[bytes]:
    """The class names in alphabetical order, so that the ids of the same classes are always the same.

    Raises:
        ValueError: a name is empty or holds a line break, which a vocabulary file cannot keep.
    """
    classes = sorted(counts)
    unfit = [name.decode(errors="replace") for name in classes if not name or b"\n" in name or b"\r" in name]
    if unfit:
        raise ValueError(f"A class name must be one line of text. Received: {unfit}")
    return classes


def require_two(classes: tuple[str, ...], head: str) -> None:
    """Refuses a label that says nothing.

    Raises:
        ValueError: there are fewer than two classes.
    """
    if len(classes) < 2:
        raise ValueError(f"The train split must hold at least two classes of `{head}`. Received: {list(classes)}")


def for_each_row(classes: tuple[str, ...], logits: tf.Tensor) -> tf.Tensor:
    """Repeats the names for every row of `logits`: string `(batch, classes)`."""
    return tf.tile(tf.constant([classes]), [tf.shape(logits)[0], 1])


def _file(head: str) -> str:
    return of_head(head, "classes")
