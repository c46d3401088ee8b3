"""The attention of the encoder's own layers, from a network that was built and trained without telling it."""

import inspect
from typing import Any

import keras

NETWORK, LAYERS = "network", "layers"


@keras.saving.register_keras_serializable(package="attention")
class WithScores(keras.layers.Layer):
    """Calls a layer that it shares, and has it give its attention scores.

    Args:
        layer: takes Keras's `return_attention_scores`.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        super().__init__(name=f"{layer.name}_with_scores", **kwargs)
        self.layer = layer

    def call(self, *args, **kwargs):
        """What the layer gives, and its scores: float `(batch, heads, queries, keys)`."""
        return self.layer(*args, **kwargs, return_attention_scores=True)


def with_layer_attention(network: keras.Model) -> keras.Model:
    """Makes a network tell the attention of its layers, by the same weights and in one pass.

    Args:
        network: functional; left as it is. Told are the layers that take `return_attention_scores`, as Keras calls
            it, also those of a network within it.

    Returns:
        a functional model of the same inputs. Outputs: `network`, what the network gives; `layers`, a list from the
        first layer on: float `(batch, heads, queries, keys)`, each row 1 in sum and 0 on padded keys.
    """
    scores: list[keras.KerasTensor] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model):
            told = with_layer_attention(layer)(*args, **kwargs)
            scores.extend(told[LAYERS])
            return told[NETWORK]
        if "return_attention_scores" in inspect.signature(layer.call).parameters:
            output, of_layer = WithScores(layer)(*args, **kwargs)
            scores.append(of_layer)
            return output
        return layer(*args, **kwargs)

    shared = keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)
    return keras.Model(shared.input, {NETWORK: shared.output, LAYERS: scores}, name=f"{network.name}_with_scores")
