"""Runs whose artifacts are kept in an object store, here Google's on the loopback."""

import gc
import shutil

import pytest

from tests.e2e.conftest import versions, write_csv
from tests.pipeline import object_stores

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_workspace_that_lost_its_artifacts_goes_on(attention, small_config, reviews, tmp_path, monkeypatch):
    workspace = tmp_path / "workspace"
    settings = {
        "data.input": write_csv(reviews.slice(0, 600), tmp_path / "reviews.csv"),
        "train.epochs": 1,
        "text.vocabulary_size": 300,
        "evaluation.gates.accuracy.min": 0.1,
        "evaluation.sanity.severity": "warn",
    }

    def run(**more):
        flags = [part for name, value in (settings | more).items() for part in ("--set", f"{name}={value}")]
        return attention("run", small_config, "-w", workspace, "--json", *flags)

    def files():
        artifacts = workspace / "artifacts"
        return {
            each.relative_to(artifacts).as_posix(): each.read_bytes()
            for each in artifacts.rglob("*")
            if each.is_file() and ".system" not in each.parts
        }

    with object_stores.gcs(monkeypatch, tmp_path) as address:
        settings["artifacts.store"] = address
        first = run()
        assert first.result["verdict"] == "pushed", first.err
        assert f"MiB copied to {address}, 0.0 MiB fetched from there" in first.err
        made = files()
        shutil.rmtree(workspace / "artifacts")

        second = run()
        assert second.result["verdict"] == "unchanged", second.err
        assert second.result["seconds"]["Trainer"] == 0
        assert second.result["metrics"] == first.result["metrics"]
        assert f"copied to {address}, 0.0 MiB fetched" not in second.err
        found = files()
        assert made.items() <= found.items()

        other = run(**{"artifacts.store": "gs://nowhere/a", "train.epochs": 2})
        assert other.code == 1
        assert other.result["why"].startswith("`artifacts.store` gs://nowhere/a cannot be written: ")
        assert versions(workspace, "reviews") == [1]
        gc.collect()  # Google's files try once more when they are collected, for minutes if no server is there any more
