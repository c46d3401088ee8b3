"""A version with all that a config may ask for beside the answers: the layers' attention, rollout, an embedding."""

import asyncio
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from components.release_gate.fresh_process import RESULT_FILE, fresh_process
from components.release_gate.options import SIGNATURES, ReleaseGateOptions
from components.release_gate.sample import Model
from components.release_gate.serving_check import serving_gates
from deploy.serving.client import AsyncPredictionClient, PredictionClient
from deploy.serving.commands import main
from models.labels import Target
from models.modalities import vocabulary_files
from models.network import build_network
from models.signatures import ServedModel, export_model
from models.spec import ExplainOptions, SingleLabelHead
from models.vocabulary import read_vocabulary
from tests.deploy.serving.running_server import RunningServer

pytestmark = pytest.mark.slow

TARGETS = {"label": Target(("no", "yes"))}
ROWS = [{"review": "Soft dress!", "age": 34.0, "title": "Top", "department": "Tops"}, {}]


@pytest.fixture(scope="module")
def model(spec, transform_output, splits, tmp_path_factory):
    """The model before it was exported, and the directory of the version."""
    spec = spec.model_copy(
        update={
            "heads": {"label": SingleLabelHead(similarity="contrastive", embedding_dim=4)},
            "explain": ExplainOptions(layers=[-1], rollout=True),
        }
    )
    vocabularies = {name: read_vocabulary(transform_output, name) for name in vocabulary_files(spec)}
    keras.utils.set_random_seed(0)
    network = build_network(spec, {name: len(entries) for name, entries in vocabularies.items()}, TARGETS)
    parts = (network, transform_output, spec, vocabularies, TARGETS)
    directory = tmp_path_factory.mktemp("reviews") / "1"
    export_model(*parts, [splits["eval"]], str(directory))
    return ServedModel(*parts), directory


def raw(times=1):
    """The rows as the signatures take them."""
    columns = {name: [row.get(name) for row in ROWS] * times for name in ROWS[0]}
    ages = np.array([float("nan") if age is None else age for age in columns.pop("age")], np.float32)
    return {name: np.array([(text or "").encode() for text in column], object) for name, column in columns.items()} | {
        "age": ages
    }


def test_the_release_gate_replays_all_and_asks_for_what_it_looks_at(model, tmp_path):
    options = ReleaseGateOptions(signatures=(*SIGNATURES, "embed", "classify"))
    with fresh_process(model[1], tmp_path / RESULT_FILE, options.timeout_seconds) as process:
        gates = serving_gates(process, tmp_path, options)
        answers = Model(process, model[1], options.heads).outputs(raw(40), "explain")  # several batches
    assert all(gate.passed for gate in gates), [gate.why for gate in gates if not gate.passed]
    signatures = json.loads((tmp_path / RESULT_FILE).read_text())["signatures"]
    assert signatures["explain"]["requests"] == 4  # the last one holds the layers, of short rows
    assert signatures["embed"]["requests"] == 3
    assert answers.keys() == {"label", "probabilities", "classes", "tokens", "token_features", "attention"}
    assert len(answers["attention"]) == 80


def test_a_client_gets_all_of_it(model):
    served, directory = model
    with RunningServer(model_name="reviews", model_base_path=str(directory.parent)) as server:
        with PredictionClient(server.target, "reviews", batch_size=1) as client:
            full, empty = client.explain(ROWS)
            assert client.predict(ROWS)[0].layer_attention is None
            embedding, nothing = client.embed(ROWS), client.embed([])

        async def embed():
            async with AsyncPredictionClient(server.target, "reviews") as client:
                return await client.embed(ROWS)

        at_once = asyncio.run(embed())
        command = ["predict", "--server", server.target, "--model_name", "reviews", "--explain"]
        lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
        shown = CliRunner().invoke(main, command, input=lines)
        line, _ = CliRunner().invoke(main, [*command, "--json"], input=lines).stdout.splitlines()

    rows = {name: tf.constant(column) for name, column in raw().items()}
    expected = {name: tensor.numpy() for name, tensor in (served.explain(rows) | served.embed(rows)).items()}
    assert full.layer_tokens == ("soft", "dress", "!", "age=34", "top", "department=Tops")
    assert empty.layer_tokens == ("[EMPTY]", "age=missing", "[EMPTY]", "department=missing")
    np.testing.assert_allclose(full.layer_attention, expected["layer_attention"][0], rtol=1e-4, atol=1e-6)
    assert empty.layer_attention.shape == (1, 2, 4, 4)
    np.testing.assert_allclose(empty.layer_attention.sum(axis=-1), 1, rtol=1e-5)
    for prediction, rolled in zip((full, empty), expected["rollout"], strict=True):
        assert [word.text for word in prediction.rollout] == [word.text for word in prediction.words]
        assert [word.weight for word in prediction.rollout] == pytest.approx(rolled[rolled > 0].tolist(), rel=1e-4)
    assert "review: soft dress !\nage: 34\ntitle: top\ndepartment: Tops" in shown.stdout
    np.testing.assert_allclose(json.loads(line)["layer_attention"], full.layer_attention, rtol=1e-4, atol=1e-6)

    assert (embedding.dtype, embedding.shape, nothing.shape) == (np.float32, (2, 4), (0, 0))
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), [1, 1], rtol=1e-5)
    np.testing.assert_allclose(embedding, expected["embedding"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(at_once, embedding, rtol=1e-4, atol=1e-5)
