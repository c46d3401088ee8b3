"""The attention of a BERT falls on words that matter, because they alone must tell what the network tells."""

import numpy as np
import pytest
import tensorflow as tf

from models.labels import Target
from models.network import build_network
from models.spec import RegressionHead, SingleLabelHead
from models.training.attended_words import AgreeWithWords
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
    np.testing.assert_array_equal(network(batch)["word_logits"], np.zeros((2, 2)))
    kernel, bias = np.random.default_rng(0).normal(size=(8, 2)), np.array([1.0, 2.0])
    network.get_layer("word_logits").set_weights([kernel, bias])
    told = network(batch)
    words = np.einsum("bt,bth->bh", told["attention"], embeddings)
    np.testing.assert_allclose(told["word_logits"], words @ kernel + bias, rtol=1e-5, atol=1e-6)
    # Of the same words in another order nothing but the positions differs before any context.
    position = network.get_layer("bert").get_layer("position_embedding")
    position.position_embeddings.assign(np.zeros(position.position_embeddings.shape))
    swapped = {**inputs, "token_ids": inputs["token_ids"][:, [0, 2, 1, 3]]}
    straight, crossed = (np.asarray(network.get_layer("bert")(each)["embeddings"])[0] for each in (inputs, swapped))
    np.testing.assert_allclose(straight[[0, 2, 1, 3]], crossed, rtol=1e-5, atol=1e-6)


def test_without_a_weight_there_is_no_second_head(text_spec):
    network = build_network(of_model(text_spec, word_loss_weight=0.0), SIZES, TARGETS)
    assert network.output.keys() == {"logits", "attention"}


def test_the_loss_is_a_sum_of_squares_in_training_alone_and_moves_the_words_alone():
    layer = AgreeWithWords(0.5)
    logits, words = tf.Variable([[1.0, -1.0], [0.0, 1.0]]), tf.Variable([[0.0, 2.0], [0.0, 1.0]])
    with tf.GradientTape() as tape:
        np.testing.assert_array_equal(layer(logits, words, training=True), logits)
        (loss,) = layer.losses
    assert float(loss) == 0.5 * ((1 + 9) + 0) / 2
    of_logits, of_words = tape.gradient(loss, [logits, words])
    assert of_logits is None
    np.testing.assert_allclose(of_words, [[-0.5, 1.5], [0.0, 0.0]])
    layer(logits, words, training=False)
    assert layer.losses == []
    layer(logits[:0], words[:0], training=True)  # what a replica may get of a batch that is not full
    assert [float(each) for each in layer.losses] == [0.0]


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
    price, kind = "price_word_logits", "kind_word_logits"
    np.testing.assert_allclose(of_new[price] * 4 + 12, of_old[price] * 2 + 10, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(of_new[kind])[:, [2, 1]], of_old[kind], rtol=1e-4, atol=1e-4)
