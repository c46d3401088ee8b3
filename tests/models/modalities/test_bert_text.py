import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.labels import Target
from models.modalities import bert_text
from models.network import build_network
from models.raw import transform_inputs
from models.spec import LABEL_KEY
from models.training.attended_words import TrainedModel, agreeing_with_words
from models.vocabulary import read_vocabulary

MISSING = {"review": "", "age": math.nan, "title": "", "department": ""}
TARGETS = {"label": Target(("a", "b", "c"))}
SIZES = {"word_pieces": 70, "department_values": 2}


@pytest.fixture(scope="module")
def transform(bert_transform_output):
    layer = bert_transform_output.transform_features_layer()

    def apply(*rows):
        filled = [{**MISSING, LABEL_KEY: "yes", **row} for row in rows]
        columns = {name: tf.constant([row[name] for row in filled]) for name in filled[0]}
        return layer(transform_inputs(columns, bert_transform_output.raw_feature_spec()))

    return apply


@pytest.fixture(scope="module")
def network(bert_spec):
    keras.utils.set_random_seed(1)
    return build_network(bert_spec, SIZES, TARGETS)


def ragged(outputs, key):
    return tf.RaggedTensor.from_sparse(outputs[key]).to_list()


def make_batch(*rows: tuple[list[int], list[int]]) -> dict[str, np.ndarray]:
    lengths = [[len(ids)] for ids, _ in rows]
    longest = max(lengths)[0]
    ids, columns = (np.array([[*row[part], *[0] * (longest - len(row[part]))] for row in rows]) for part in (0, 1))
    return {
        "bert_token_ids": ids.astype("int32"),
        "bert_columns": columns.astype("int32"),
        "age_value": np.array(lengths, "float32") / 10,
        "age_missing": np.zeros((len(rows), 1), "float32"),
        "department_id": np.array(lengths, "int32") % 5,
    }


ROWS = (([2, 5, 6, 7, 3, 8, 3], [0, 0, 0, 0, 0, 1, 1]), ([2, 9, 3, 3], [0, 0, 0, 1]))


def test_texts_are_one_sequence_of_the_presets_pieces(transform, bert_transform_output):
    pieces = read_vocabulary(bert_transform_output, "word_pieces")
    outputs = transform({"review": "Softs DRÉSS! 很好", "title": "Top"}, {})
    named = [[pieces[i] for i in row] for row in ragged(outputs, "bert_token_ids")]
    assert named[0] == ["[CLS]", "soft", "##s", "dress", "!", "很", "好", "[SEP]", "top", "[SEP]"]
    assert named[1] == ["[CLS]", "[SEP]", "[SEP]"]
    assert ragged(outputs, "bert_columns") == [[0] * 8 + [1] * 2, [0, 0, 1]]


@pytest.mark.parametrize("text", ["soft " * 600_000, "x" * 3_000_000, "好" * 1_000_000])
def test_each_text_is_cut_at_its_own_length(transform, text):
    (columns,) = ragged(transform({"review": text, "title": text}), "bert_columns")
    assert columns.count(0) <= 2 + 16
    assert columns.count(1) <= 1 + 8


def test_padding_changes_nothing(network):
    alone, among = network(make_batch(ROWS[1])), network(make_batch(*reversed(ROWS)))
    batch = make_batch(*ROWS)
    padded = {key: np.pad(ids, [(0, 0), (0, 4)]) if ids.shape[1] > 1 else ids for key, ids in batch.items()}
    outputs, of_padded = network(batch), network(padded)
    np.testing.assert_allclose(of_padded["logits"], outputs["logits"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(among["logits"][0], alone["logits"][0], rtol=1e-4, atol=1e-6)
    assert not np.asarray(of_padded["attention"])[:, 7:11].any()
    np.testing.assert_allclose(np.sum(of_padded["attention"], axis=1), [1, 1], rtol=1e-5)


def test_every_part_of_a_row_matters(network):
    batch = make_batch(*ROWS)
    logits = np.asarray(network(batch)["logits"])
    for key, column in batch.items():
        changed = {**batch, key: np.where(column > 0, 1, 0) if column.dtype == np.int32 else column + 1}
        if key == "bert_columns":
            changed[key] = 1 - column
        assert np.abs(np.asarray(network(changed)["logits"]) - logits).max() > 1e-6, key


def test_three_steps_move_every_weight(bert_spec):
    network = build_network(bert_spec, SIZES, TARGETS)
    logits = {"label": network.get_layer("logits").output}
    model = TrainedModel(network.inputs, agreeing_with_words(network, logits, bert_spec))
    model.compile("adam", {"label": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    before = [np.asarray(weight) for weight in model.trainable_weights]
    for _ in range(3):  # the words' head begins at zero, so the query moves after it, and then its projection
        model.train_on_batch(make_batch(*ROWS), {"label": np.array([0, 1])})
    for weight, old in zip(model.trainable_weights, before, strict=True):
        if not weight.path.endswith("key/bias"):  # adds the same to every score of a query, which softmax cancels
            assert not np.array_equal(weight, old), weight.path


def test_a_saved_network_gives_the_same(network, tmp_path):
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(make_batch(*ROWS))["logits"], network(make_batch(*ROWS))["logits"])


def test_a_text_that_may_be_longer_than_the_positions_is_refused(bert_spec):
    features = {"review": bert_spec.features["review"].model_copy(update={"max_len": 40})}
    with pytest.raises(ValueError, match=r"has 40 positions; lower `max_len`.* Received: up to 42 tokens"):
        build_network(bert_spec.model_copy(update={"features": features}), SIZES, TARGETS)


def test_names_tell_the_pieces_and_where_they_come_from(bert_spec):
    batch = {key: tf.constant(column) for key, column in make_batch(*ROWS).items()}
    features = bert_spec.of_type("text")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]
    (names,) = bert_text.token_names({}, batch, features, {"word_pieces": vocabulary}).values()
    assert [[name.decode() for name in row] for row in names.names.numpy()] == [
        ["[CLS]", "a", "b", "c", "[SEP]", "d", "[SEP]"],
        ["[CLS]", "e", "[SEP]", "[SEP]", "", "", ""],
    ]
    assert names.features.numpy()[1].tolist() == [b"review"] * 3 + [b"title"] + [b""] * 3
