"""The label: class names in alphabetical order, so that the ids of the same classes are always the same."""

import tensorflow as tf
import tensorflow_transform as tft

from models.raw import dense
from models.vocabulary import Counts, learn_vocabulary

VOCABULARY_FILE = "classes"
"""Name of the asset with the class names."""

UNSEEN_ID = -1
"""Id of a class that the train split does not have."""


def transform(label: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Turns class names into ids.

    Args:
        label: string, one value per row.

    Returns:
        int64 `(batch,)`; `UNSEEN_ID` for a class that the analysed split does not have.
    """
    label = dense(label, "category")
    (path,) = learn_vocabulary(label, VOCABULARY_FILE, sort_classes)
    return tft.apply_vocabulary(label, path, default_value=UNSEEN_ID)


def sort_classes(counts: Counts) -> list[bytes]:
    """The class names in alphabetical order.

    Raises:
        ValueError: a name is empty or holds a line break, which a vocabulary file cannot keep.
    """
    classes = sorted(counts)
    unfit = [name.decode(errors="replace") for name in classes if not name or b"\n" in name or b"\r" in name]
    if unfit:
        raise ValueError(f"A class name must be one line of text. Received: {unfit}")
    return classes
