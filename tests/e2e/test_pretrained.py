"""Real pretrained weights, fine-tuned on a few real reviews: which garment is it? The attention says by which words."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from deploy.serving.client import PredictionClient
from deploy.serving.launch import ServerProcess
from pipeline import assets
from tests.e2e.conftest import FEW_QUESTIONS, write_config, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

CLASSES = ("Blouses", "Dresses", "Jackets", "Jeans", "Shorts", "Skirts", "Sweaters", "Swim")
ROWS_OF_A_CLASS = 80


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    table = pa.parquet.read_table(assets.fetch("reviews")).select(["Review Text", "Class Name"])
    kinds = [table.filter(pc.equal(table["Class Name"], each)).slice(0, ROWS_OF_A_CLASS) for each in CLASSES]
    raw = {
        "name": "garments",
        "data": {
            "input": str(write_csv(pa.concat_tables(kinds), folder / "garments.csv")),
            "label": "Class Name",
            "on_empty_text": "use",
        },
        "features": {"review_text": {"type": "text", "column": "Review Text", "max_len": 48}},
        "model": {"encoder": "bert"},
        "train": {"epochs": 3, "learning_rate": 2e-4},
        "evaluation": {**FEW_QUESTIONS, "attention": {"rows": 50}, "gates": {"accuracy": {"min": 0.5}}},
    }
    return write_config(raw, folder / "garments.yaml")


def test_a_fine_tuned_bert_answers_by_the_words_that_it_attends_to(attention, config, tmp_path):
    done = attention("run", config, "-w", tmp_path, "--json")
    assert done.code == 0, done.err
    (faithful,) = [gate for gate in done.result["gates"] if gate["name"] == "attention/faithful"]
    # Measured 0.5; attention that is not taught by the words stays near 0.
    assert faithful["value"] > 0.2, faithful["why"]
    texts = {
        "Jeans": "Soft and stretchy, these jeans are true to size and look good with boots",
        "Skirts": "Got so many compliments, the skirt is lined and hits above the knee",
        "Sweaters": "So warm and cozy, this sweater is perfect for winter and does not itch",
    }
    with (
        ServerProcess("garments", tmp_path / "serving" / "garments") as server,
        PredictionClient(server.target, "garments") as client,
    ):
        answers = client.explain(list(texts.values()))
    for kind, answer in zip(texts, answers, strict=True):
        assert answer.label == kind
        most = max(answer.words, key=lambda word: word.weight)
        assert most.text.rstrip("s") == kind.lower().rstrip("s"), answer.words
