"""Modalities: how Transform reads a column, and how the network turns it into tokens. One file each, found by its name.

A new modality is a new module here, named like its feature type, with the functions of `Modality`.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

import keras
import tensorflow as tf

from models.modalities.tokens import Tokens
from models.spec import ModelOptions, ModelSpec


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
        options: ModelOptions,
    ) -> dict[str, Tokens]:
        """The network's inputs → the tokens of each feature."""

    def token_names(
        self,
        rows: Mapping[str, tf.Tensor],
        tensors: Mapping[str, tf.Tensor],
        features: Mapping[str, Any],
        vocabularies: Mapping[str, list[str]],
    ) -> dict[str, tf.Tensor]:
        """A readable name for each token of each feature, `""` on padding."""


def modalities_of(spec: ModelSpec) -> Iterator[tuple[Modality, dict[str, Any]]]:
    """Each modality that the model reads, with its features in the config's order."""
    for feature_type in dict.fromkeys(feature.type for feature in spec.inputs.values()):
        yield cast(Modality, importlib.import_module(f"{__name__}.{feature_type}")), spec.of_type(feature_type)


def vocabulary_files(spec: ModelSpec) -> list[str]:
    """Names of all vocabularies of the features."""
    return [
        file_name for modality, features in modalities_of(spec) for file_name in modality.vocabulary_files(features)
    ]
