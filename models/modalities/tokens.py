"""What every modality turns a feature into."""

from typing import NamedTuple

import keras


class Tokens(NamedTuple):
    """The tokens of one feature.

    Attributes:
        vectors: float `(batch, tokens, hidden_dim)`.
        padding_mask: bool `(batch, tokens)`; True marks a real token.
    """

    vectors: keras.KerasTensor
    padding_mask: keras.KerasTensor
