"""The network: every feature becomes tokens, an encoder reads them, attention pools them, heads judge."""

from collections.abc import Mapping

import keras
from keras import ops

from models.attention.attention_pooling import AttentionPooling, weighted_sum
from models.attention.split_teaching import split_teaching
from models.encoders.self_attention import self_attention
from models.labels import Target, type_of
from models.modalities import modalities_of
from models.modalities.tokens import Reader, Tokens
from models.spec import EMBEDDING, WORD_LOGITS, BertOptions, ModelSpec, SingleLabelHead, of_head


def build_network(spec: ModelSpec, vocabulary_sizes: Mapping[str, int], targets: Mapping[str, Target]) -> keras.Model:
    """Builds the network with fresh weights; only a BERT comes with weights of its own.

    Args:
        spec: features and sizes.
        vocabulary_sizes: entries of each vocabulary of the Transform graph.
        targets: head → what is to be predicted.

    Returns:
        a functional model. Inputs: the transformed features by name, texts padded with 0. Outputs: `logits` of each
        head, named by `of_head`, float32 `(batch, …)`, and `attention`, float32 `(batch, tokens)`: non-negative, 0 on
        padding, sum 1 a row; if a head learns similarity also `embedding`, float32 `(batch, embedding_dim)`, length 1;
        if a BERT has a `word_loss_weight` also `logits_of_words` of each head, as `logits`.
        The tokens of the features follow each other in the config's order; texts that BERT reads together stand where
        the first of them does.

    Raises:
        ValueError: the preset of a BERT cannot be had, rows may be too long for it, or it lacks a layer that is to be
            explained.
    """
    if isinstance(spec.model, BertOptions):
        from models.encoders import bert  # keras-hub takes seconds to import

        reader: Reader = bert.load_reader(spec.model)
    else:
        reader = spec.model
    spec.explain.places(reader.num_layers)  # what is wrong is told before it is trained
    inputs: dict[str, keras.KerasTensor] = {}
    tokens: dict[str, Tokens] = {}
    for modality, features in modalities_of(spec):
        tensors = modality.keras_inputs(features)
        tokens |= modality.embed(tensors, features, vocabulary_sizes, reader)
        inputs |= tensors
    in_order = {name: tokens[name] for name in spec.inputs if name in tokens}
    encoded = bert.join(in_order) if isinstance(spec.model, BertOptions) else self_attention(in_order, spec.model)
    # At the low rate of a BERT a query by chance would stay what it is.
    query = "zeros" if isinstance(spec.model, BertOptions) else "glorot_uniform"
    by_words = isinstance(spec.model, BertOptions) and spec.model.word_loss_weight > 0
    # The words' loss teaches which token is attended, not what the tokens hold.
    scored = ops.stop_gradient(encoded.vectors) if by_words else encoded.vectors
    pooled, attention = AttentionPooling(query, name="attention")(scored, encoded.padding_mask)
    if by_words:  # the same sum, which teaches the attention less
        of_answer, of_words = split_teaching(attention, encoded.in_context)
        pooled = weighted_sum(of_answer, encoded.vectors)
    dropped = keras.layers.Dropout(spec.model.dropout, name="head_dropout")(pooled)
    logits = {
        of_head(name, "logits"): type_of(head).score(dropped, of_head(name, "logits"), targets[name])
        for name, head in spec.heads.items()
    }
    outputs = {**logits, "attention": attention}
    if by_words:
        words = weighted_sum(of_words, ops.stop_gradient(encoded.before_context))
        for name in spec.heads:
            size, layer = logits[of_head(name, "logits")].shape[-1], of_head(name, WORD_LOGITS)
            # It begins at zero and has no bias: see `TrainedModel`.
            head = keras.layers.Dense(size, use_bias=False, kernel_initializer="zeros", dtype="float32", name=layer)
            outputs[layer] = head(words)
    embedding_head = spec.heads.get(spec.embedding_head)
    if isinstance(embedding_head, SingleLabelHead):
        # Rows begin as near to each other as what is pooled, and without a bias that they could all be drawn to.
        projection = keras.layers.Dense(
            embedding_head.embedding_dim,
            use_bias=False,
            kernel_initializer="orthogonal",
            dtype="float32",
            name=f"{EMBEDDING}_projection",
        )
        outputs[EMBEDDING] = keras.layers.UnitNormalization(dtype="float32", name=EMBEDDING)(projection(pooled))
    return keras.Model(inputs, outputs, name=spec.name)
