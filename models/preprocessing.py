"""The one graph from raw features to what the network reads, in training and in serving; called by TFX Transform."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models import label
from models.modalities import modalities_of
from models.spec import LABEL_KEY, SPEC_KEY, ModelSpec


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Transforms every feature that the model reads, and the label.

    Args:
        inputs: raw features in whatever form the schema gives them.
        custom_config: holds the JSON text of the `ModelSpec` under `SPEC_KEY`.

    Returns:
        the transformed features of each modality, and `label`: int64 `(batch,)`.

    Raises:
        ValueError: the schema lacks a feature of the spec.
    """
    spec = ModelSpec.model_validate_json(custom_config[SPEC_KEY])
    absent = sorted({*spec.inputs, LABEL_KEY} - set(inputs))
    if absent:
        raise ValueError(f"The schema must hold every feature that the model reads. Missing: {absent}")
    outputs = {LABEL_KEY: label.transform(inputs[LABEL_KEY])}
    for modality, features in modalities_of(spec):
        outputs |= modality.transform(inputs, features, spec)
    return outputs
