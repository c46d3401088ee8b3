"""What the layers of an encoder attend to: true scores, nothing on padding, and the same answers as without them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.labels import Target
from models.modalities import vocabulary_files
from models.network import build_network
from models.signatures import ServedModel
from models.spec import ExplainOptions
from models.vocabulary import read_vocabulary

pytestmark = pytest.mark.slow

TARGETS = {"label": Target(("no", "yes"))}
ROWS = {
    "review": tf.constant(["Soft dress!", ""]),
    "age": tf.constant([34.0, float("nan")]),
    "title": tf.constant(["Top", ""]),
    "department": tf.constant(["Tops", ""]),
}


def parts_of(spec, transform_output):
    vocabularies = {name: read_vocabulary(transform_output, name) for name in vocabulary_files(spec)}
    keras.utils.set_random_seed(0)
    network = build_network(spec, {name: len(entries) for name, entries in vocabularies.items()}, TARGETS)
    chance = np.random.default_rng(0)
    for variable in network.trainable_variables:  # wide enough that heads and layers look at different tokens
        variable.assign(variable + chance.normal(size=variable.shape, scale=0.5))
    return network, transform_output, spec, vocabularies, TARGETS


def explain(parts, **options):
    """What the signature says if these options are set."""
    network, transform_output, spec, *rest = parts
    spec = spec.model_copy(update={"explain": ExplainOptions(**options)})
    return {
        name: tensor.numpy()
        for name, tensor in ServedModel(network, transform_output, spec, *rest).explain(ROWS).items()
    }


@pytest.fixture(scope="module")
def parts(spec, transform_output):
    model = spec.model.model_copy(update={"num_layers": 2})
    return parts_of(spec.model_copy(update={"model": model}), transform_output)


@pytest.fixture(scope="module")
def bert_parts(bert_spec, bert_transform_output):
    return parts_of(bert_spec, bert_transform_output)


@pytest.fixture(params=["parts", "bert_parts"])
def either(request):
    return request.getfixturevalue(request.param)


def test_answers_and_attention_are_the_same_to_the_bit(either):
    plain, told = explain(either), explain(either, layers="all", rollout=True)
    assert told.keys() - plain.keys() == {"layer_attention", "layer_tokens", "rollout"}
    for name, array in plain.items():
        np.testing.assert_array_equal(told[name], array, err_msg=name)


def test_rows_sum_to_one_over_what_is_read_and_padding_is_nothing(either):
    told = explain(either, layers="all")
    real = told["layer_tokens"] != b""
    attention = told["layer_attention"]
    assert attention.dtype == np.float32
    assert attention.shape == (2, 2, 2, *real.shape[1:] * 2)
    np.testing.assert_allclose(attention.sum(axis=-1), np.tile(real[:, None, None], (1, 2, 2, 1)), rtol=1e-5)
    assert not attention.transpose(0, 4, 1, 2, 3)[~real].any()
    assert np.abs(attention[:, 0] - attention[:, 1]).max() > 1e-3


def test_layers_come_in_the_order_that_is_asked_for(either):
    both = explain(either, layers="all")["layer_attention"]
    told = explain(either, layers=[-1, 1])
    np.testing.assert_array_equal(told["layer_attention"], both[:, ::-1])
    assert "rollout" not in told
    np.testing.assert_array_equal(explain(either, layers=[2])["layer_attention"], both[:, 1:])


def test_tokens_of_the_layers_are_all_or_the_pieces_of_a_bert(parts, bert_parts):
    told = explain(parts, layers="all")
    assert told["layer_tokens"].tolist() == told["tokens"].tolist()
    told = explain(bert_parts, layers="all")
    assert [name.decode() for name in told["layer_tokens"][0]] == [
        "[CLS]",
        "soft",
        "dress",
        "!",
        "[SEP]",
        "top",
        "[SEP]",
    ]


def test_rollout_is_that_of_the_layers_told(either):
    told = explain(either, layers="all", rollout=True)
    pieces = told["layer_tokens"].shape[1]
    expected = told["attention"].copy()
    for row, layers in enumerate(told["layer_attention"].mean(axis=2)):
        product = np.eye(pieces)
        for weights in layers:
            product = (0.5 * weights + 0.5 * np.eye(pieces)) @ product
        expected[row, :pieces] = expected[row, :pieces] @ product
    np.testing.assert_allclose(told["rollout"], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(told["rollout"].sum(axis=1), [1, 1], rtol=1e-5)
    assert np.abs(told["rollout"] - told["attention"]).max() > 1e-3
    assert not told["rollout"][told["token_features"] == b""].any()


def test_scores_of_a_bert_are_those_of_its_weights(bert_parts):
    reader = bert_parts[0].get_layer("bert")
    transform = ServedModel(*bert_parts)._tensors(ROWS)
    ids, columns = transform["bert_token_ids"].numpy(), transform["bert_columns"].numpy()
    inputs = {"token_ids": ids, "segment_ids": columns, "padding_mask": ids != 0}
    told = explain(bert_parts, layers="all")["layer_attention"]
    for place in range(2):
        layer = reader.get_layer(f"transformer_layer_{place}")
        vectors = keras.Model(reader.input, layer.input[0])(inputs)
        weights = {"/".join(each.path.split("/")[-2:]): np.asarray(each) for each in layer.weights}
        query, key = (
            np.einsum("bth,hnd->bntd", vectors, weights[f"{name}/kernel"]) + weights[f"{name}/bias"][:, None]
            for name in ("query", "key")
        )
        scores = np.einsum("bnqd,bnkd->bnqk", query, key) / np.sqrt(query.shape[-1])
        scores = np.exp(scores) * (ids != 0)[:, None, None]
        expected = scores / scores.sum(axis=-1, keepdims=True) * (ids != 0)[:, None, :, None]
        np.testing.assert_allclose(told[:, place], expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_a_bert_lacks_is_told_before_it_is_trained(bert_spec):
    spec = bert_spec.model_copy(update={"explain": ExplainOptions(layers=[1, 3])})
    with pytest.raises(ValueError, match=r"numbers from 1 to 2 or from -1 to -2. Received: \[1, 3\]"):
        build_network(spec, {"word_pieces": 70, "department_values": 2}, TARGETS)
