"""One class out of several."""

import keras


def single_label(pooled: keras.KerasTensor, num_classes: int, dropout: float) -> keras.KerasTensor:
    """Scores each class.

    Args:
        pooled: float `(batch, hidden_dim)`.
        num_classes: how many classes there are.
        dropout: rate at which values of `pooled` are dropped in training.

    Returns:
        `logits`: float32 `(batch, num_classes)`, whatever the precision of the layers before.
    """
    pooled = keras.layers.Dropout(dropout, name="head_dropout")(pooled)
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")(pooled)
