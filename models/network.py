"""The network: every feature becomes tokens, an encoder reads them, attention pools them, a head judges."""

from collections.abc import Mapping

import keras

from models.attention.attention_pooling import AttentionPooling
from models.encoders.self_attention import self_attention
from models.heads.single_label import single_label
from models.modalities import modalities_of
from models.modalities.tokens import Tokens
from models.spec import ModelSpec


def build_network(spec: ModelSpec, vocabulary_sizes: Mapping[str, int], num_classes: int) -> keras.Model:
    """Builds the network with fresh weights.

    Args:
        spec: features and sizes.
        vocabulary_sizes: entries of each vocabulary of the Transform graph.
        num_classes: how many classes there are.

    Returns:
        a functional model. Inputs: the transformed features by name, texts padded with 0. Outputs: `logits`, float32
        `(batch, num_classes)`, and `attention`, float32 `(batch, tokens)`: non-negative, 0 on padding, sum 1 a row.
        The tokens of the features follow each other in the config's order.
    """
    inputs: dict[str, keras.KerasTensor] = {}
    tokens: dict[str, Tokens] = {}
    for modality, features in modalities_of(spec):
        tensors = modality.keras_inputs(features)
        tokens |= modality.embed(tensors, features, vocabulary_sizes, spec.model)
        inputs |= tensors
    encoded = self_attention({name: tokens[name] for name in spec.inputs}, spec.model)
    pooled, attention = AttentionPooling(name="attention")(encoded.vectors, encoded.padding_mask)
    logits = single_label(pooled, num_classes, spec.model.dropout)
    return keras.Model(inputs, {"logits": logits, "attention": attention}, name=spec.name)
