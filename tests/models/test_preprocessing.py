import math

import numpy as np
import pytest
import tensorflow as tf

from models.preprocessing import preprocessing_fn
from models.raw import transform_inputs
from models.spec import LABEL_KEY, SPEC_KEY, ModelSpec
from models.vocabulary import read_vocabulary
from models.word_pieces import EMPTY_ID
from tests.models.conftest import ONLY_IN_EVAL, feature_spec, make_rows, run_transform, write_split

MISSING = {"review": "", "age": math.nan, "title": "", "department": ""}


@pytest.fixture(scope="module")
def transform(transform_output):
    layer = transform_output.transform_features_layer()

    def apply(*rows, label="yes"):
        filled = [{**MISSING, LABEL_KEY: label, **row} for row in rows]
        columns = {name: tf.constant([row[name] for row in filled]) for name in filled[0]}
        return layer(transform_inputs(columns, transform_output.raw_feature_spec()))

    return apply


def token_ids(outputs, name):
    return tf.RaggedTensor.from_sparse(outputs[f"{name}_token_ids"]).to_list()


def test_the_schema_of_the_outputs(transform_output):
    spec = transform_output.transformed_feature_spec()
    assert spec.keys() == {
        "review_token_ids", "title_token_ids", "age_value", "age_missing", "department_id", LABEL_KEY,
    }  # fmt: skip
    assert isinstance(spec["review_token_ids"], tf.io.VarLenFeature)
    assert spec["age_value"].shape == spec["age_missing"].shape == spec["department_id"].shape == [1]


def test_words_become_their_pieces(transform, transform_output):
    pieces = read_vocabulary(transform_output, "word_pieces")
    outputs = transform({"review": "Lovely DRESS! 很好👍 שלום", "title": "shoes"})
    assert [pieces[i] for i in token_ids(outputs, "review")[0]] == ["lovely", "dress", "!", "很", "好", "👍", "שלום"]
    assert [pieces[i] for i in token_ids(outputs, "title")[0]] == ["shoes"]


def test_only_the_train_split_gives_word_pieces(transform, transform_output):
    pieces = read_vocabulary(transform_output, "word_pieces")
    assert "lovely" in pieces
    assert ONLY_IN_EVAL not in pieces
    assert len(token_ids(transform({"review": ONLY_IN_EVAL}), "review")[0]) >= 1


@pytest.mark.parametrize("text", ["", " \n", "\u200b"])
def test_a_text_without_words_has_one_token(transform, text):
    assert token_ids(transform({"review": text}, {"review": "soft"}), "review")[0] == [EMPTY_ID]


@pytest.mark.parametrize("text", ["soft " * 600_000, "x" * 3_000_000, "好" * 1_000_000])
def test_a_huge_text_is_cut(transform, text):
    (ids,) = token_ids(transform({"review": text}), "review")
    assert 1 <= len(ids) <= 16


def test_numbers_are_z_scores_of_the_train_split(transform):
    ages = np.array([row["age"] for row in make_rows(130, seed=0)])
    outputs = transform({"age": 40.0}, {"age": math.nan}, {"age": math.inf}, {"age": 1e30})
    z_score = (40 - ages.mean()) / ages.std()
    np.testing.assert_allclose(outputs["age_value"][:, 0], [z_score, 0, 0, 10], rtol=1e-4, atol=1e-6)
    assert outputs["age_missing"][:, 0].numpy().tolist() == [0, 1, 1, 0]


def test_categories_missing_known_and_unknown(transform, transform_output):
    known = read_vocabulary(transform_output, "department_values")
    outputs = transform({}, *({"department": name} for name in known), {"department": "Gloves"})
    ids = outputs["department_id"][:, 0].numpy().tolist()
    assert ids[:3] == [0, 1, 2]
    assert ids[3] in (3, 4)


def test_labels_are_ids_by_name(transform):
    assert transform({}, label="no")[LABEL_KEY].numpy().tolist() == [0]
    assert transform({}, label="yes")[LABEL_KEY].numpy().tolist() == [1]
    assert transform({}, label="perhaps")[LABEL_KEY].numpy().tolist() == [-1]


def test_a_schema_of_required_features_gives_the_same_graph(spec, tmp_path):
    rows = [{"department": "Tops", "title": "Top", **row} for row in make_rows(40, seed=3)]
    pattern = write_split(tmp_path / "Split-train", rows)
    required = {
        name: tf.io.FixedLenFeature([1], kind.dtype) if isinstance(kind, tf.io.VarLenFeature) else kind
        for name, kind in feature_spec(spec).items()
    }
    columns = {name: tf.constant([row[name] for row in rows[:4]]) for name in rows[0]}
    outputs = []
    for directory, raw_spec in (("a", required), ("b", None)):
        transform_output = run_transform(pattern, spec, tmp_path / directory, raw_spec)
        layer = transform_output.transform_features_layer()
        outputs.append(layer(transform_inputs(columns, transform_output.raw_feature_spec())))
    for name, column in outputs[0].items():
        for left, right in zip(
            tf.nest.flatten(column, expand_composites=True),
            tf.nest.flatten(outputs[1][name], expand_composites=True),
            strict=True,
        ):
            np.testing.assert_array_equal(left, right)


def test_a_number_can_stand_in_as_zero_and_a_column_can_be_empty(tmp_path):
    features = {"age": {"type": "number", "missing": "zero"}, "size": {"type": "number"}, "kind": {"type": "category"}}
    spec = ModelSpec.model_validate({"name": "numbers", "features": features})
    pattern = write_split(tmp_path / "Split-train", [{"age": 1.0, "label": "a"}, {"age": 3.0, "label": "b"}])
    transform_output = run_transform(pattern, spec, tmp_path)
    rows = {"age": [math.nan, 3.0], "size": [math.nan, 7.0], "kind": ["", "x"], "label": ["a", "b"]}
    columns = {name: tf.constant(values) for name, values in rows.items()}
    outputs = transform_output.transform_features_layer()(
        transform_inputs(columns, transform_output.raw_feature_spec())
    )
    np.testing.assert_allclose(outputs["age_value"][:, 0], [-2, 1])
    assert np.isfinite(outputs["size_value"]).all()
    assert outputs["kind_id"][0, 0].numpy() == 0


def test_says_which_features_the_schema_lacks(spec):
    with pytest.raises(ValueError, match=r"Missing: \['label', 'title'\]"):
        preprocessing_fn({"review": 0, "age": 0, "department": 0}, {SPEC_KEY: spec.model_dump_json()})


def test_the_order_of_the_rows_does_not_change_a_bit(tmp_path):
    spec = ModelSpec.model_validate({"name": "numbers", "features": {"age": {"type": "number"}}})
    prices = np.random.default_rng(0).lognormal(3, 3, 3000).astype("float32")
    found = []
    for name, column in (("sorted", np.sort(prices)), ("as they come", prices), ("falling", -np.sort(-prices))):
        rows = [{"age": float(price), "label": "ab"[index % 2]} for index, price in enumerate(column)]
        output = run_transform(write_split(tmp_path / name / "Split-train", rows), spec, tmp_path / name)
        probe = {"age": tf.constant(prices[:50]), "label": tf.constant(["a"] * 50)}
        layer = output.transform_features_layer()
        found.append(layer(transform_inputs(probe, output.raw_feature_spec()))["age_value"])
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
