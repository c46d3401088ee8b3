import ast
import pathlib

import keras
import numpy as np
import pytest

import models
from models.labels import Target
from models.network import build_network

SIZES = {"word_pieces": 30, "department_values": 2}
CLASSES = 3
TARGETS = {"label": Target(("a", "b", "c"))}


def make_batch(rows: int = 4, review: int = 5, title: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "review_token_ids": random.integers(1, 30, (rows, review)).astype("int32"),
        "title_token_ids": random.integers(1, 30, (rows, title)).astype("int32"),
        "age_value": random.normal(size=(rows, 1)).astype("float32"),
        "age_missing": random.integers(0, 2, (rows, 1)).astype("float32"),
        "department_id": random.integers(0, 5, (rows, 1)).astype("int32"),
    }


@pytest.fixture
def network(spec):
    keras.utils.set_random_seed(0)
    return build_network(spec, SIZES, TARGETS)


def test_outputs(network):
    outputs = network(make_batch())
    assert outputs["logits"].shape == (4, CLASSES)
    assert outputs["attention"].shape == (4, 5 + 1 + 3 + 1)
    np.testing.assert_allclose(np.sum(outputs["attention"], axis=1), np.ones(4), rtol=1e-5)


def test_padding_changes_nothing(network):
    batch = make_batch()
    padded = {key: np.pad(ids, [(0, 0), (0, 4)]) if ids.shape[1] > 1 else ids for key, ids in batch.items()}
    outputs, of_padded = network(batch), network(padded)
    np.testing.assert_allclose(of_padded["logits"], outputs["logits"], rtol=1e-4, atol=1e-5)
    attention = np.asarray(of_padded["attention"])
    assert not attention[:, 5:9].any()
    np.testing.assert_allclose(attention[:, :5], outputs["attention"][:, :5], rtol=1e-4, atol=1e-6)


def test_the_order_of_a_batch_does_not_matter(network):
    batch = make_batch()
    order = np.array([2, 0, 3, 1])
    shuffled = network({key: column[order] for key, column in batch.items()})
    np.testing.assert_allclose(shuffled["logits"], np.asarray(network(batch)["logits"])[order], rtol=1e-4, atol=1e-6)


def test_every_part_of_a_row_matters(network):
    batch = make_batch()
    logits = np.asarray(network(batch)["logits"])
    for key, column in batch.items():
        changed = {**batch, key: (column + 1) % 5 if column.dtype == np.int32 else column + 1}
        assert np.abs(np.asarray(network(changed)["logits"]) - logits).max() > 1e-5, key


def test_one_step_moves_every_weight(network):
    model = keras.Model(network.inputs, network.get_layer("logits").output)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [np.asarray(weight) for weight in model.trainable_weights]
    model.train_on_batch(make_batch(), np.array([0, 1, 2, 0]))
    for weight, old in zip(model.trainable_weights, before, strict=True):
        if not weight.path.endswith("key/bias"):  # adds the same to every score of a query, which softmax cancels
            assert not np.array_equal(weight, old), weight.path


def test_a_saved_network_gives_the_same(network, tmp_path):
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(make_batch())["logits"], network(make_batch())["logits"])


@pytest.mark.parametrize("room", ["attention", "encoders", "heads", "losses"])
def test_layers_speak_to_keras_alone_and_so_run_on_every_backend(room):
    for path in pathlib.Path(models.__file__).parent.joinpath(room).glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if name.startswith("tensorflow")], path
