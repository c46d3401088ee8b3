"""A loss that has the attention of a BERT fall on words that matter."""

from collections.abc import Mapping

import keras
from keras import ops

from models.spec import WORD_LOGITS, BertOptions, ModelSpec, of_head


class AgreeWithWords(keras.layers.Layer):
    """Passes logits on, and has the attended words agree with them.

    A BERT mixes all words into each token, so that its head can read a sentence from any of them, and the attention
    before it goes where it likes: on banking77 deleting the most attended words changed the answer less than deleting
    random ones. Here the same attention also weights the tokens as they were before any context, and what a second head
    reads from that sum shall be what the network says: `weight Σ (word_logits - logits)²` of each row, the logits taken
    as a constant (Ba and Caruana 2014, section 2.1). The second head begins at zero: at one by chance the attention
    first flees to tokens that say the same in every row. The sum over the classes, not their mean, gives each class the
    same say whether there are 2 or 77.

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
            squares = ops.square(word_logits - ops.stop_gradient(logits))
            rows = ops.maximum(ops.shape(logits)[0], 1)  # a replica may have none
            self.add_loss(self._weight * ops.sum(squares) / ops.cast(rows, "float32"))
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
