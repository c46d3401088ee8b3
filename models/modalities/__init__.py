"""Modalities: how Transform reads a column, and how the network turns it into tokens. One file each, found by its name.

A new modality is a new module here, named like its feature type, with the functions of `Modality`; one that a certain
encoder needs in place of it has the encoder's name in front.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import keras
import tensorflow as tf

from models.modalities.token_names import TokenNames
from models.modalities.tokens import Reader, Tokens
from models.spec import ModelSpec

_OF_ENCODERS = {"bert_text"}


class Modality(Protocol):
    """What each module of this package offers; see `models.modalities.text` for the words."""

    def transform(
        self, inputs: Mapping[str, tf.Tensor], features: Mapping[str, Any], spec: ModelSpec
    ) -> dict[str, tf.Tensor]:
        """Raw features → transformed features, inside the Transform graph."""

    def vocabulary_files(self, features: Mapping[str, Any]) -> list[str]:
        """Names of the vocabularies that `transform` leaves in the Transform graph."""

    def keras_inputs(self, features: Mapping[str, Any]) -> dict[str, keras.KerasTensor]:
        """The network's inputs, named like the transformed features."""

    def embed(
        self,
        tensors: Mapping[str, keras.KerasTensor],
        features: Mapping[str, Any],
        vocabulary_sizes: Mapping[str, int],
        reader: Reader,
    ) -> dict[str, Tokens]:
        """The network's inputs → the tokens of each feature; of those read together the first stands for all."""

    def row_names(self, features: Mapping[str, Any], vocabularies: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Names of the rows of weights that are looked up by id: path of a variable → one name a row."""

    def token_names(
        self,
        rows: Mapping[str, tf.Tensor],
        tensors: Mapping[str, tf.Tensor],
        features: Mapping[str, Any],
        vocabularies: Mapping[str, list[str]],
    ) -> dict[str, TokenNames]:
        """Readable names of the tokens that `embed` gives, by the same keys."""


def modalities_of(spec: ModelSpec) -> Iterator[tuple[Modality, dict[str, Any]]]:
    """Each modality that the model reads, with its features in the config's order."""
    for feature_type in dict.fromkeys(feature.type for feature in spec.inputs.values()):
        own = f"{spec.model.encoder}_{feature_type}"
        module = importlib.import_module(f"{__name__}.{own if own in _OF_ENCODERS else feature_type}")
        yield cast(Modality, module), spec.of_type(feature_type)


def vocabulary_files(spec: ModelSpec) -> list[str]:
    """Names of all vocabularies of the features."""
    return [
        file_name for modality, features in modalities_of(spec) for file_name in modality.vocabulary_files(features)
    ]
