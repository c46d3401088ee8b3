"""A search before the training, and a run after it that trains nothing anew."""

import json

import pytest

from pipeline.config import read_yaml
from tests.e2e.conftest import versions, write_config, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def config(small_config, reviews, tmp_path):
    """Few rows, one feature, and rates of which one learns nothing."""
    raw = read_yaml(small_config)
    raw["data"]["input"] = str(write_csv(reviews.slice(0, 800), tmp_path / "reviews.csv"))
    raw["features"] = {"review_text": raw["features"]["review_text"]}
    raw["evaluation"] |= {"slices": [], "sanity": {"severity": "warn"}, "gates": {"accuracy": {"min": 0.5}}}
    raw["train"] = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-9}
    raw["tune"] = {"space": {"train.learning_rate": [1e-9, 5e-3]}, "trials": 2, "objective": "loss"}
    raw["track"] = {
        "wandb": {"project": "reviews", "mode": "offline"},
        "openlineage": {"file": "lineage.jsonl"},
        "opentelemetry": {"endpoint": "http://127.0.0.1:9", "timeout_seconds": 0.5},  # nobody listens there
    }
    return write_config(raw, tmp_path / "reviews.yaml")


def test_a_search_is_made_once_and_what_it_found_stays(attention, config, tmp_path):
    workspace = tmp_path / "workspace"
    first = attention("run", config, "-w", workspace, "--tune", "--json")
    assert first.code == 0, first.err
    assert "trial 2/2, learning_rate" in first.err
    assert "2 trials, best loss" in first.err
    assert "; tuned: learning_rate 0.005" in first.err
    assert first.result["seconds"]["Tuner"] > 0
    assert first.err.count("tracked: ") == 2
    assert "The collector of traces was not told: http://127.0.0.1:9/v1/traces is away" in first.err
    events = [json.loads(line) for line in (workspace / "lineage.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(events) == 2 * (1 + len(first.result["seconds"]))
    (source,), (version,) = events[0]["inputs"], events[-1]["outputs"]
    assert source["name"].endswith("reviews.csv")
    assert len(source["facets"]["version"]["datasetVersion"]) == 64, "sha256"
    assert version["name"] == str(workspace / "serving" / "reviews")

    again = attention("run", config, "-w", workspace, "--json")
    assert again.code == 0, again.err
    assert again.result["verdict"] == "unchanged"
    assert "the best values of an earlier search count: learning_rate 0.005" in again.err
    assert "Tuner" not in again.result["seconds"]
    assert again.result["seconds"]["TunedValues"] == again.result["seconds"]["Trainer"] == 0
    assert versions(workspace) == [1]

    for result in (first.result, again.result):
        record = json.loads((workspace / "reports" / result["run"] / "run.json").read_text(encoding="utf-8"))
        assert record["training"]["tuned"] == {"train.learning_rate": 5e-3}
        kept = record["training"]["curve"][record["training"]["best_epoch"] - 1]
        assert kept["val_loss"] == record["search"]["score"], "the Trainer trains as the best trial did"
        assert record["search"]["values"] == {"train.learning_rate": 5e-3}
        assert [trial["state"] for trial in record["search"]["trials"]] == ["done", "done"]
        assert len(list(workspace.glob(f"wandb/offline-run-*-{result['run']}/files/report.html"))) == 1
        assert "Tuner" in {each["made_by"] for each in record["lineage"]}

    refused = attention("run", config, "-w", workspace, "--tune", "--set", "tune=null")
    assert refused.code == 2
    assert "--tune needs `tune.space` in the config" in refused.err
