"""The attention of a BERT falls on words that matter, because they alone must tell what the network tells."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.labels import Target
from models.network import build_network
from models.spec import WORD_LOGITS, RegressionHead, SingleLabelHead
from models.training.attended_words import TrainedModel, agreeing_with_words
from models.training.warm_start import take_over
from models.weights import SavedWeights, Weight, named_axes

TARGETS = {"label": Target(("no", "yes"))}
SIZES = {"word_pieces": 71, "department_values": 2}


@pytest.fixture(scope="module")
def text_spec(bert_spec):
    return bert_spec.model_copy(update={"features": bert_spec.of_type("text")})


def of_model(spec, **changes):
    return spec.model_copy(update={"model": spec.model.model_copy(update=changes)})


def test_the_attention_weights_the_words_as_they_were_before_any_context(text_spec):
    network = build_network(text_spec, SIZES, TARGETS)
    batch = {
        "bert_token_ids": np.array([[2, 57, 58, 3], [2, 59, 3, 0]], "int32"),
        "bert_columns": np.zeros((2, 4), "int32"),
    }
    inputs = {
        "token_ids": batch["bert_token_ids"],
        "segment_ids": batch["bert_columns"],
        "padding_mask": batch["bert_token_ids"] > 0,
    }
    embeddings = np.asarray(network.get_layer("bert")(inputs)["embeddings"])
    np.testing.assert_array_equal(network(batch)["logits_of_words"], np.zeros((2, 2)))
    kernel = np.random.default_rng(0).normal(size=(8, 2))
    network.get_layer("logits_of_words").set_weights([kernel])
    told = network(batch)
    words = np.einsum("bt,bth->bh", told["attention"], embeddings)
    np.testing.assert_allclose(told["logits_of_words"], words @ kernel, rtol=1e-5, atol=1e-6)
    # Of the same words in another order nothing but the positions differs before any context.
    position = network.get_layer("bert").get_layer("position_embedding")
    position.position_embeddings.assign(np.zeros(position.position_embeddings.shape))
    swapped = {**inputs, "token_ids": inputs["token_ids"][:, [0, 2, 1, 3]]}
    straight, crossed = (np.asarray(network.get_layer("bert")(each)["embeddings"])[0] for each in (inputs, swapped))
    np.testing.assert_allclose(straight[[0, 2, 1, 3]], crossed, rtol=1e-5, atol=1e-6)


def test_without_a_weight_there_is_no_second_head(text_spec):
    network = build_network(of_model(text_spec, word_loss_weight=0.0), SIZES, TARGETS)
    assert network.output.keys() == {"logits", "attention"}


def test_heads_may_be_named_like_parts_of_each_other(text_spec):
    spec = text_spec.model_copy(update={"heads": {name: SingleLabelHead() for name in ("a", "a_word", "word")}})
    network = build_network(spec, SIZES, {name: Target(("no", "yes")) for name in spec.heads})
    assert {"a_logits", "a_word_logits", "word_logits", "a_logits_of_words"} <= network.output.keys()


def test_the_words_alone_teach_which_of_the_tokens_that_read_each_other_is_attended(text_spec):
    network = build_network(text_spec, SIZES, TARGETS)
    network.get_layer("logits_of_words").set_weights([np.random.default_rng(0).normal(size=(8, 2))])
    batch = {"bert_token_ids": np.array([[2, 57, 58, 3]], "int32"), "bert_columns": np.zeros((1, 4), "int32")}
    query = network.get_layer("attention").query.value
    with tf.GradientTape(persistent=True) as tape:
        told = network(batch)
        answer, words = (tf.reduce_sum(told[name] ** 2) for name in ("logits", "logits_of_words"))
    np.testing.assert_allclose(tape.gradient(answer, query), np.zeros(8), atol=1e-6)
    assert np.abs(tape.gradient(words, query)).max() > 1e-3
    without = build_network(of_model(text_spec, word_loss_weight=0.0), SIZES, TARGETS)
    with tf.GradientTape() as tape:
        answer = tf.reduce_sum(without(batch)["logits"] ** 2)
    assert np.abs(tape.gradient(answer, without.get_layer("attention").query.value)).max() > 1e-3


def test_the_words_teach_no_token_what_it_holds(text_spec):
    network = build_network(text_spec, SIZES, TARGETS)
    network.get_layer("logits_of_words").set_weights([np.random.default_rng(0).normal(size=(8, 2))])
    batch = {"bert_token_ids": np.array([[2, 57, 58, 3]], "int32"), "bert_columns": np.zeros((1, 4), "int32")}
    encoder = network.get_layer("bert").trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        told = network(batch)
        answer, words = (tf.reduce_sum(told[name] ** 2) for name in ("logits", "logits_of_words"))
    assert all(each is None for each in tape.gradient(words, [each.value for each in encoder]))
    assert all(each is not None for each in tape.gradient(answer, [each.value for each in encoder]))


def test_the_loss_is_what_rows_differ_by_in_training_alone_and_moves_the_words_alone(text_spec):
    spec = of_model(text_spec, word_loss_weight=0.5)
    network = build_network(spec, SIZES, TARGETS)
    outputs = agreeing_with_words(network, {"label": network.get_layer("logits").output}, spec)
    model = TrainedModel(network.inputs, outputs)
    model.compile(loss={"label": keras.losses.MeanAbsoluteError()})
    apart = tf.Variable([[-1.0, 3.0], [0.0, 0.0]])  # in the mean [-0.5, 1.5]

    def loss(apart, training):
        right = tf.zeros((2, 2))
        return model.compute_loss(y={"label": right}, y_pred={"label": right, "label/apart": apart}, training=training)

    with tf.GradientTape() as tape:
        value = loss(tf.convert_to_tensor(apart), True)
    assert float(value) == ((0.25 + 2.25) + (0.25 + 2.25)) / 2
    np.testing.assert_allclose(tape.gradient(value, apart), [[-0.5, 1.5], [0.5, -1.5]])
    assert float(loss(apart + tf.constant([[7.0, -3.0]]), True)) == float(value)  # what all rows share counts nothing
    assert float(loss(apart, False)) == 0.0
    assert float(loss(apart[:0], True)) == 0.0  # what a replica may get of a batch that is not full

    network.get_layer("logits_of_words").set_weights([np.random.default_rng(0).normal(size=(8, 2))])
    batch = {"bert_token_ids": np.array([[2, 57, 3]], "int32"), "bert_columns": np.zeros((1, 3), "int32")}
    with tf.GradientTape() as tape:
        told, of_training = network(batch), model(batch)
        moved = tf.reduce_sum(of_training["label/apart"])
    between = np.asarray(told["logits_of_words"]) - np.asarray(told["logits"])
    np.testing.assert_allclose(of_training["label/apart"], 0.5**0.5 * between, rtol=1e-5)
    of_logits, of_words = tape.gradient(
        moved, [network.get_layer(each).kernel.value for each in ("logits", WORD_LOGITS)]
    )
    assert of_logits is None
    assert np.abs(of_words).max() > 0


def test_a_later_training_takes_the_second_head_over_in_its_own_units(text_spec):
    spec = text_spec.model_copy(update={"heads": {"price": RegressionHead(), "kind": SingleLabelHead()}})
    before = {"price": Target(mean=10.0, deviation=2.0), "kind": Target(("a", "b"))}
    after = {"price": Target(mean=12.0, deviation=4.0), "kind": Target(("new", "b", "a"))}
    vocabularies = {"word_pieces": [str(number) for number in range(71)]}
    old, new = (build_network(spec, SIZES, targets) for targets in (before, after))
    generator = np.random.default_rng(0)
    for variable in old.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    axes = named_axes(spec, vocabularies, before)
    by_path = {each.path: Weight(np.asarray(each), axes.get(each.path)) for each in old.variables}
    take_over(new, SavedWeights(by_path, before), spec, vocabularies, after, [])
    batch = {"bert_token_ids": np.array([[2, 57, 3]], "int32"), "bert_columns": np.zeros((1, 3), "int32")}
    of_old, of_new = old(batch), new(batch)
    price, kind = "price_logits_of_words", "kind_logits_of_words"
    np.testing.assert_allclose(of_new[price] * 4, of_old[price] * 2, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(of_new[kind])[:, [2, 1]], of_old[kind], rtol=1e-4, atol=1e-4)
