"""A loss that has the attention of a BERT fall on words that matter."""

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops

from models.spec import WORD_LOGITS, BertOptions, ModelSpec, of_head


class TrainedModel(keras.Model):
    """A functional model of the logits of each head; what other outputs differ by from row to row is loss, too.

    A BERT mixes all words into each token, so that its head can read a sentence from any of them, and the attention
    before it goes where it likes: on banking77 deleting the most attended words changed the answer less than deleting
    random ones. Here the same attention also weights the tokens as they were before any context, and what a second head
    reads from that sum shall differ from what the network says by the same in all rows: `weight Σ (d - mean d)²` of
    each row, `d = word_logits - logits`, the mean over the batch, the logits taken as a constant (Ba and Caruana 2014,
    section 2.1). Without the mean, and with a second head by chance, the attention first flees to tokens that say the
    same in every row; so that head begins at zero. The sum over the classes, not their mean, gives each class the same
    say whether there are 2 or 77. A batch of one row teaches nothing.
    """

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, {name: y_pred[name] for name in y}, sample_weight, training)
        if training:
            # As Keras has its losses: over the number of replicas.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            loss += sum(_spread(apart) for name, apart in y_pred.items() if name not in y) / replicas
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, {name: y_pred[name] for name in y}, sample_weight)


def _spread(apart: tf.Tensor) -> tf.Tensor:
    """Mean over the rows of this replica: squares of what they are off from the mean over the rows of all replicas."""
    rows = tf.cast(tf.shape(apart)[0], "float32")
    # The mean moves the squares by the sum of `apart - mean`, which is 0: a constant leaves the gradient as it is.
    total, all_rows = tf.stop_gradient(tf.reduce_sum(apart, axis=0)), rows
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        total, all_rows = replica.all_reduce(tf.distribute.ReduceOp.SUM, [total, all_rows])
    return tf.reduce_sum(tf.square(apart - total / all_rows)) / tf.maximum(rows, 1.0)  # a replica may have no rows


def agreeing_with_words(
    network: keras.Model, logits: Mapping[str, keras.KerasTensor], spec: ModelSpec
) -> dict[str, keras.KerasTensor]:
    """Outputs of a `TrainedModel`.

    Args:
        network: as `build_network` makes it.
        logits: head → the network's logits.
        spec: its heads.

    Returns:
        the same logits, and if the options of a BERT want the loss, what the words are apart from each, in float32.
    """
    if not isinstance(spec.model, BertOptions) or not spec.model.word_loss_weight:
        return dict(logits)
    apart = {}
    for name, head in spec.heads.items():
        words = network.get_layer(of_head(name, WORD_LOGITS)).output
        scale = (head.weight * spec.model.word_loss_weight) ** 0.5
        apart[f"{name}/apart"] = scale * (words - ops.stop_gradient(ops.cast(logits[name], "float32")))
    return {**logits, **apart}
