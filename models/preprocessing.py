"""The one graph from raw features to what the network reads, in training and in serving; called by TFX Transform."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.labels import type_of
from models.modalities import modalities_of
from models.spec import SPEC_KEY, ModelSpec


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms every feature that the model reads, and the labels.

    Args:
        inputs: raw features in whatever form the schema gives them.
        custom_config: holds the JSON text of the `ModelSpec` under `SPEC_KEY`.

    Returns:
        the transformed features of each modality, and the label of each head by its name.

    Raises:
        ValueError: the schema lacks a feature of the spec.
    """
    spec = ModelSpec.model_validate_json(custom_config[SPEC_KEY])
    absent = sorted({*spec.inputs, *spec.heads} - set(inputs))
    if absent:
        raise ValueError(f"The schema must hold every feature that the model reads. Missing: {absent}")
    outputs = {name: type_of(head).transform(inputs[name], name, head) for name, head in spec.heads.items()}
    for modality, features in modalities_of(spec):
        outputs |= modality.transform(inputs, features, spec)
    return outputs
