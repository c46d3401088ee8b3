"""A loss on the embedding beside those on the heads' logits: which rows are alike is learnt, too."""

import keras
import tensorflow as tf
from keras import ops

from models.labels.single_label import similarity_loss
from models.spec import EMBEDDING, ModelSpec, SingleLabelHead
from models.training.attended_words import TrainedModel

_LABEL = "similarity_label"


class AddLoss(keras.layers.Layer):
    """Passes logits on, and adds a loss on what stands beside them to that of the model.

    A model has one metric a loss, and names them by its outputs: so the heads keep the names they have without it.

    Args:
        loss: of each row, of labels and embeddings.
        weight: of the loss in the model's.
    """

    def __init__(self, loss: keras.losses.Loss, weight: float, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self._loss = loss
        self._weight = weight
        self._of_rows = keras.metrics.Mean(name="similarity_loss")

    def call(self, logits, embedding, labels):
        """Adds the loss.

        Args:
            logits: float `(batch, classes)`.
            embedding: float `(batch, embedding_dim)`.
            labels: int `(batch,)`.

        Returns:
            `logits`.
        """
        losses = self._loss(labels, embedding)
        self._of_rows.update_state(losses)
        self.add_loss(self._weight * ops.mean(losses))
        return logits


def trained_model(network: keras.Model, outputs: dict[str, keras.KerasTensor], spec: ModelSpec) -> TrainedModel:
    """The part of a network that is trained.

    Args:
        network: as `build_network` makes it.
        outputs: head → the network's logits, and what else `TrainedModel` has.
        spec: its heads.

    Returns:
        a model from the network's inputs to these outputs; if one of them learns similarity, its labels are
        an input, too, as `with_labels` gives them.
    """
    name = spec.embedding_head
    head = spec.heads.get(name)
    if not isinstance(head, SingleLabelHead):
        return TrainedModel(network.inputs, outputs)
    labels = keras.Input([], dtype="int32", name=_LABEL)
    add_loss = AddLoss(similarity_loss(head), head.weight * head.similarity_weight)
    added = add_loss(outputs[name], network.get_layer(EMBEDDING).output, labels)
    return TrainedModel([*network.inputs, labels], {**outputs, name: added})


def with_labels(dataset: tf.data.Dataset, spec: ModelSpec) -> tf.data.Dataset:
    """Adds the labels that `trained_model` reads to the features of `(features, labels, …)`."""
    name = spec.embedding_head
    if not name:
        return dataset
    return dataset.map(lambda features, labels, *weights: ({**features, _LABEL: labels[name]}, labels, *weights))
