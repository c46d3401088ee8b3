"""A loss that has the attention of a BERT fall on words that matter."""

from collections.abc import Mapping

import keras
from keras import ops

from models.spec import WORD_LOGITS, BertOptions, ModelSpec, of_head
from models.training.replicas import sum_of_replicas

LEAST_RATE = 10.0
"""Of the attention and the words' head, over all others' rate: both are new where a BERT is not. On 650 reviews of
eight classes they had learnt next to nothing at the common rate by the end of 123 steps."""


class AgreeWithWords(keras.layers.Layer):
    """Passes logits on, and has the attended words agree with them.

    A BERT mixes all words into each token, so that its head can read a sentence from any of them, and the attention
    before it goes where it likes: on banking77 deleting the most attended words changed the answer less than deleting
    random ones. Here the same attention also weights the tokens as they were before any context, and what a second head
    reads from that sum shall differ from what the network says by the same in all rows: `weight Σ (d - mean d)²` of
    each row, `d = word_logits - logits`, the mean over the batch, the logits taken as a constant (Ba and Caruana 2014,
    section 2.1). Without the mean, and with a second head by chance, the attention first flees to tokens that say the
    same in every row; so that head begins at zero. The sum over the classes, not their mean, gives each class the same
    say whether there are 2 or 77. A batch of one row teaches nothing.

    Args:
        weight: of the loss in the model's; it counts in training alone.
    """

    def __init__(self, weight: float, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self._weight = weight

    def call(self, logits, word_logits, training=False):
        """Adds the loss.

        Args:
            logits: float `(batch, …)`.
            word_logits: float `(batch, …)`.
            training: whether the loss is wanted.

        Returns:
            `logits`.
        """
        if training:
            apart = word_logits - ops.stop_gradient(logits)
            rows = ops.cast(ops.shape(logits)[0], "float32")
            # The mean moves by the sum of `apart - mean`, which is 0: as a constant it leaves the gradient as it is.
            mean = sum_of_replicas(ops.stop_gradient(ops.sum(apart, axis=0))) / sum_of_replicas(rows)
            squares = ops.sum(ops.square(apart - mean))
            self.add_loss(self._weight * squares / ops.maximum(rows, 1.0))  # a replica may have no rows
        return logits


def agreeing_with_words(
    network: keras.Model, logits: Mapping[str, keras.KerasTensor], spec: ModelSpec
) -> dict[str, keras.KerasTensor]:
    """Adds the loss to the model of a training, if the options of its BERT want one.

    Args:
        network: as `build_network` makes it.
        logits: head → the network's logits.
        spec: its heads.

    Returns:
        head → the same logits.
    """
    if not isinstance(spec.model, BertOptions) or not spec.model.word_loss_weight:
        return dict(logits)
    agreed = {}
    for name, head in spec.heads.items():
        layer = AgreeWithWords(head.weight * spec.model.word_loss_weight)
        agreed[name] = layer(logits[name], network.get_layer(of_head(name, WORD_LOGITS)).output)
    return agreed


def word_rates(network: keras.Model, spec: ModelSpec) -> dict[str, float]:
    """The rate of the weights that the loss teaches.

    Args:
        network: as `build_network` makes it.
        spec: its heads.

    Returns:
        path of a variable → its share of the learning rate: `LEAST_RATE`, or `head_rate` if that is more. Empty without
        the loss.
    """
    if not isinstance(spec.model, BertOptions) or not spec.model.word_loss_weight:
        return {}
    layers = [network.get_layer("attention"), *(network.get_layer(of_head(name, WORD_LOGITS)) for name in spec.heads)]
    share = max(LEAST_RATE, spec.model.head_rate)
    return {variable.path: share for layer in layers for variable in layer.trainable_variables}
