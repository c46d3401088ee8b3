"""One model with four heads on real reviews: recommended or not, how many stars, which departments, what age."""

import json
import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from components.answer_record import AnswerRecord
from components.pusher.versions import release_dir
from deploy.serving.client import PredictionClient
from deploy.serving.launch import ServerProcess
from pipeline import assets
from tests.e2e.conftest import FEW_QUESTIONS, ROWS, write_config, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    table = pa.parquet.read_table(assets.fetch("reviews")).slice(0, ROWS)
    topics = pc.binary_join_element_wise(
        table["Division Name"], table["Department Name"], "; ", null_handling="replace", null_replacement=""
    )
    table = table.select(["Review Text", "Recommended IND", "Rating", "Age"]).append_column("Topics", topics)
    raw = {
        "name": "reviews",
        "data": {"input": str(write_csv(table, folder / "reviews.csv"))},
        "features": {"review_text": {"type": "text", "column": "Review Text"}},
        "heads": {
            "recommended": {"column": "Recommended IND"},
            "stars": {"type": "ordinal", "column": "Rating"},
            "topics": {"type": "multi_label", "column": "Topics", "separator": ";"},
            "age": {"type": "regression", "column": "Age", "weight": 0.2},
        },
        "text": {"vocabulary_size": 1000},
        "train": {"epochs": 2},
        "evaluation": {
            **FEW_QUESTIONS,
            "slices": ["recommended"],
            "gates": {
                "recommended/accuracy": {"min": 0.5},
                "stars/mean_absolute_error": {"max": 1.5, "max_rise": 0.1},
                "topics/macro_f1": {"min": 0.0},
                "age/root_mean_squared_error": {"max": 20},
            },
        },
    }
    return write_config(raw, folder / "heads.yaml")


def test_all_heads_are_measured_gated_pushed_and_served(attention, config, tmp_path):
    done = attention("run", config, "-w", tmp_path, "--json")
    assert done.code == 0, done.err
    result = done.result
    assert result["verdict"] == "pushed"
    metrics = result["metrics"]
    assert metrics["stars/mean_absolute_error"] < 1.5
    assert 0 < metrics["topics/subset_accuracy"] < 1
    assert 5 < metrics["age/mean_absolute_error"] < 15  # years
    assert metrics["recommended/example_count"] == metrics["age/example_count"]
    names = {gate["name"] for gate in result["gates"]}
    assert {
        "rows/smallest_class/stars",
        "rows/classes/topics",
        "skew/age",
        "metric/stars/mean_absolute_error",
        "metric/age/root_mean_squared_error",
        "serving/classify_topics",
        "serving/regress_age",
    } <= names
    assert "stars/accuracy" in done.err

    record = AnswerRecord.read(release_dir(tmp_path / "serving" / "reviews", 1))
    assert set(record.heads) == {"recommended", "stars", "topics"}
    assert 0 < record.numbers["age"].quantiles[0] < record.numbers["age"].quantiles[-1] < 120
    with ServerProcess("reviews", tmp_path / "serving" / "reviews") as server:
        with PredictionClient(server.target, "reviews") as client:
            glad, sad = client.explain(
                ["I love it, it fits perfectly and looks great", "Terrible, I returned it at once"]
            )
        assert list(glad.heads) == ["age", "recommended", "stars", "topics"]
        assert glad.heads["recommended"].probabilities["1"] > sad.heads["recommended"].probabilities["1"]
        assert list(glad.heads["stars"].probabilities) == ["1", "2", "3", "4", "5"]
        assert 15 < glad.heads["age"].value < 90
        assert math.fsum(word.weight for word in glad.words) == pytest.approx(1, abs=1e-4)
        shown = attention("predict", "--server", server.target, "--model_name", "reviews", "--json", "lovely")
        (line,) = shown.out.splitlines()
        assert json.loads(line)["heads"]["stars"]["label"] in "12345"


def test_a_gate_of_any_head_blocks(attention, config, tmp_path):
    done = attention(
        *("run", config, "-w", tmp_path, "--json", "--set", "train.epochs=1"),
        *("--set", "evaluation.gates={age/mean_absolute_error: {max: 1}}"),
    )
    assert done.code == 3
    (blocking,) = [gate for gate in done.result["gates"] if gate["name"] == "metric/age/mean_absolute_error"]
    assert not blocking["passed"]
    assert "at most 1.0000 is asked for" in blocking["why"]
