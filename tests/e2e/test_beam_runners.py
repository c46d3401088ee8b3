"""Beam in worker processes gives what Beam in memory gives, to the last bit of the model."""

import json

import pytest

from tests.e2e.conftest import write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_worker_processes_give_the_same_release_as_memory(attention, small_config, reviews, tmp_path):
    data = write_csv(reviews.slice(0, 1000), tmp_path / "reviews.csv")
    settings = [
        f"data.input={data}",
        "train.epochs=1",
        "evaluation.gates.accuracy.min=0.1",
        "evaluation.sanity.severity=warn",
    ]
    flags = [part for setting in settings for part in ("--set", setting)]
    runners = {
        "direct": [],
        "processes": ["--set", "beam.runner=processes", "--set", "beam.workers=2"],
    }
    results, vocabularies, releases = {}, {}, {}
    for runner, own in runners.items():
        workspace = tmp_path / runner
        done = attention("run", small_config, "-w", workspace, "--json", *flags, *own)
        assert done.result["verdict"] == "pushed", done.err
        results[runner] = {key: done.result[key] for key in ("rows", "metrics")}
        version = workspace / "serving" / "reviews" / "1"
        vocabularies[runner] = {path.name: path.read_bytes() for path in (version / "assets").iterdir()}
        releases[runner] = json.loads((version / "assets.extra" / "release" / "release.json").read_text())
    assert "word_pieces" in vocabularies["direct"]
    assert vocabularies["processes"] == vocabularies["direct"]
    assert results["processes"] == results["direct"]
    assert releases["processes"]["content_hash"] == releases["direct"]["content_hash"]
