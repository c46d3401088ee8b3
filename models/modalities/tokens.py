"""What every modality turns a feature into."""

from typing import NamedTuple, Protocol

import keras


class Tokens(NamedTuple):
    """The tokens of one feature, or of several that are read together.

    Attributes:
        vectors: float `(batch, tokens, hidden_dim)`.
        padding_mask: bool `(batch, tokens)`; True marks a real token.
        before_context: the vectors of the same tokens before they had read each other; None: `vectors` are that.
        in_context: bool `(batch, tokens)`; True marks a token that has read others, if some tokens of `vectors` did.
    """

    vectors: keras.KerasTensor
    padding_mask: keras.KerasTensor
    before_context: keras.KerasTensor | None = None
    in_context: keras.KerasTensor | None = None


class Reader(Protocol):
    """What reads the tokens decides how large their vectors are; `ModelOptions` and `BertReader` do."""

    @property
    def hidden_dim(self) -> int:
        """Size of a token's vector."""

    @property
    def num_layers(self) -> int:
        """How many layers read the tokens."""
