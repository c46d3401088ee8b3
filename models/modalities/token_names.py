"""What people are told of the tokens."""

from typing import NamedTuple

import tensorflow as tf


class TokenNames(NamedTuple):
    """What a reader is told of the tokens.

    Attributes:
        names: string `(batch, tokens)`; `""` on padding.
        features: string `(batch, tokens)`; the feature that each token comes from, `""` on padding.
    """

    names: tf.Tensor
    features: tf.Tensor


def of_feature(feature: str, names: tf.Tensor) -> TokenNames:
    """Names of tokens that all come from one feature.

    Args:
        feature: its name.
        names: string `(batch, tokens)`; `""` on padding.
    """
    return TokenNames(names, tf.where(names != b"", feature, ""))
