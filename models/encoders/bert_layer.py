"""A layer of BERT."""

import keras
import keras_hub

from models.attention.masked_attention import MaskedAttention


@keras.saving.register_keras_serializable(package="attention")
class BertLayer(keras_hub.layers.TransformerEncoder):
    """keras-hub's, but for an attention of fewer passes: an answer of 128 tokens takes a tenth less, a step 4 %.

    Measured with MiniLM's sizes, 16 rows, `gelu` of this project included.
    """

    def build(self, inputs_shape):
        super().build(inputs_shape)
        # Not replaced but made another: the order of a layer's weights is that in which they came to it.
        self._self_attention_layer.__class__ = MaskedAttention
