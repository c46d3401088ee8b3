import json
import math
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.labels import Target
from models.modalities import vocabulary_files
from models.network import build_network
from models.signatures import ServedModel, export_model
from models.vocabulary import read_vocabulary
from tests.models import replay_saved_model

pytestmark = pytest.mark.slow

TARGETS = {"label": Target(("no", "yes"))}
REPLAY = Path(replay_saved_model.__file__)


@pytest.fixture(scope="module")
def parts(spec, transform_output):
    vocabularies = {name: read_vocabulary(transform_output, name) for name in vocabulary_files(spec)}
    keras.utils.set_random_seed(0)
    network = build_network(spec, {name: len(entries) for name, entries in vocabularies.items()}, TARGETS)
    return network, transform_output, spec, vocabularies, TARGETS


@pytest.fixture(scope="module")
def exported(parts, splits, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("export") / "1")
    export_model(*parts, [splits["eval"]], directory)
    return directory


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(exported)


def make_rows(**changes):
    rows = {"review": ["Soft dress!", ""], "age": [34.0, math.nan], "title": ["Top", ""], "department": ["Tops", ""]}
    return {name: tf.constant(values) for name, values in {**rows, **changes}.items()}


def make_examples(*rows):
    examples = []
    for row in rows:
        example = tf.train.Example()
        for name, value in row.items():
            if isinstance(value, float):
                example.features.feature[name].float_list.value.append(value)
            else:
                example.features.feature[name].bytes_list.value.append(value.encode())
        examples.append(example.SerializeToString())
    return tf.constant(examples)


def test_signatures_have_the_promised_inputs_and_outputs(loaded):
    signatures = loaded.signatures
    assert signatures.keys() == {"serving_default", "classify", "examples", "explain"}
    for name in ("serving_default", "explain"):
        _, inputs = signatures[name].structured_input_signature
        assert {key: (spec.dtype, spec.shape.as_list()) for key, spec in inputs.items()} == {
            "review": (tf.string, [None]),
            "age": (tf.float32, [None]),
            "title": (tf.string, [None]),
            "department": (tf.string, [None]),
        }
    assert signatures["classify"].structured_input_signature[1].keys() == {"inputs"}
    assert signatures["examples"].structured_input_signature[1].keys() == {"examples"}
    verdict = {"label", "probabilities", "classes"}
    assert signatures["serving_default"].structured_outputs.keys() == verdict
    assert signatures["examples"].structured_outputs.keys() == verdict
    assert signatures["classify"].structured_outputs.keys() == {"classes", "scores"}
    assert signatures["explain"].structured_outputs.keys() == verdict | {"attention", "tokens", "token_features"}


def test_saved_and_loaded_it_says_the_same(parts, loaded):
    model = ServedModel(*parts)
    for name, answer in (("serving_default", model.predict), ("explain", model.explain)):
        expected, received = answer(make_rows()), loaded.signatures[name](**make_rows())
        for key, tensor in expected.items():
            if tensor.dtype == tf.string:
                assert tensor.numpy().tolist() == received[key].numpy().tolist()
            else:
                np.testing.assert_allclose(received[key], tensor, rtol=1e-5, atol=1e-6)


def test_examples_with_and_without_their_features_are_the_rows(loaded):
    serialized = make_examples({"review": "Soft dress!", "age": 34.0, "title": "Top", "department": "Tops"}, {})
    of_rows = loaded.signatures["serving_default"](**make_rows())
    of_examples = loaded.signatures["examples"](examples=serialized)
    of_classify = loaded.signatures["classify"](inputs=serialized)
    np.testing.assert_array_equal(of_examples["probabilities"], of_rows["probabilities"])
    np.testing.assert_array_equal(of_classify["scores"], of_rows["probabilities"])
    assert of_classify["classes"].numpy().tolist() == [[b"no", b"yes"]] * 2


def test_verdicts_are_consistent(loaded):
    verdict = loaded.signatures["serving_default"](**make_rows())
    probabilities = verdict["probabilities"].numpy()
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), [1, 1], rtol=1e-5)
    classes = np.array([b"no", b"yes"], object)
    assert verdict["label"].numpy().tolist() == classes[probabilities.argmax(axis=1)].tolist()


def test_explanations_name_every_token(loaded):
    explained = loaded.signatures["explain"](**make_rows(review=["Soft dress!", "unseenish"]))
    tokens = explained["tokens"].numpy()
    features = explained["token_features"].numpy()
    attention = explained["attention"].numpy()
    first = [token.decode() for token in tokens[0] if token]
    assert first == ["soft", "dress", "!", "age=34", "top", "department=Tops"]
    assert [name.decode() for name in features[0] if name] == ["review"] * 3 + ["age", "title", "department"]
    second = [token.decode() for token in tokens[1] if token]
    assert second[-3:] == ["age=missing", "[EMPTY]", "department=missing"]
    assert len(second) > 4
    assert all(piece.startswith("##") for piece in second[1:-3])
    assert ((tokens == b"") == (features == b"")).all()
    assert (attention >= 0).all()
    assert not attention[tokens == b""].any()
    np.testing.assert_allclose(attention.sum(axis=1), [1, 1], rtol=1e-5)


def test_a_row_says_the_same_alone_and_among_longer_ones(loaded):
    alone = loaded.signatures["serving_default"](**{name: column[1:] for name, column in make_rows().items()})
    among = loaded.signatures["serving_default"](**make_rows(review=["soft " * 40, ""]))
    np.testing.assert_allclose(alone["probabilities"][0], among["probabilities"][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("text", ["x" * 3_000_000, "好" * 1_000_000, "soft " * 600_000])
def test_a_huge_text_is_answered(loaded, text):
    verdict = loaded.signatures["serving_default"](**make_rows(review=[text, ""]))
    assert np.isfinite(verdict["probabilities"]).all()


def test_a_fresh_process_replays_the_recorded_requests(exported):
    done = subprocess.run([sys.executable, str(REPLAY), exported], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["asked"] == ["classify", "examples", "explain", "serving_default"]
    assert result["largest_difference"] < 1e-4


@pytest.fixture(scope="module")
def exported_bert(bert_spec, bert_transform_output, splits, tmp_path_factory):
    vocabularies = {name: read_vocabulary(bert_transform_output, name) for name in vocabulary_files(bert_spec)}
    network = build_network(bert_spec, {name: len(entries) for name, entries in vocabularies.items()}, TARGETS)
    directory = str(tmp_path_factory.mktemp("export_bert") / "1")
    export_model(network, bert_transform_output, bert_spec, vocabularies, TARGETS, [splits["eval"]], directory)
    return directory


def test_a_bert_explains_itself_in_the_same_words(exported_bert):
    explained = tf.saved_model.load(exported_bert).signatures["explain"](**make_rows())
    tokens = [[token.decode() for token in row if token] for row in explained["tokens"].numpy()]
    assert tokens[0] == ["[CLS]", "soft", "dress", "!", "[SEP]", "top", "[SEP]", "age=34", "department=Tops"]
    assert tokens[1] == ["[CLS]", "[SEP]", "[SEP]", "age=missing", "department=missing"]
    features = [name.decode() for name in explained["token_features"].numpy()[0] if name]
    assert features == ["review"] * 5 + ["title"] * 2 + ["age", "department"]
    attention = explained["attention"].numpy()
    assert not attention[explained["tokens"].numpy() == b""].any()
    np.testing.assert_allclose(attention.sum(axis=1), [1, 1], rtol=1e-5)


def test_a_fresh_process_replays_the_recorded_requests_of_a_bert(exported_bert):
    assert (Path(exported_bert) / "assets" / "word_pieces").exists()
    command = [sys.executable, str(REPLAY), exported_bert]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["largest_difference"] < 1e-4
    assert not {op for op in result["ops"] if "RoundRobin" in op or "FastBert" in op}
