"""Run, serve, run again, release: the labels move from one pushed version to the next."""

import json

import pytest

from deploy.serving.client import PredictionClient
from deploy.serving.launch import ServerProcess
from pipeline.config import load
from pipeline.history import History, connection_config
from tests.e2e.conftest import versions

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

LIMITS = ("release.limits.flip_rate=1", "release.limits.latency_slack_ms=500", "evaluation.gates.accuracy.max_drop=0.5")


def test_a_run_pushes_a_canary_and_release_makes_it_stable(attention, small_config, tmp_path):
    workspace = tmp_path / "workspace"

    def command(name, target, *arguments):
        settings = ["push.label=canary", f"release.servers=['{target}']", *LIMITS]
        words = [word for setting in settings for word in ("--set", setting)]
        return attention(name, small_config, "-w", workspace, *words, *arguments)

    first = command("run", "127.0.0.1:9", "--json")
    assert first.result["verdict"] == "pushed", first.err
    assert "No label yet, `attention release` will give it: The server 127.0.0.1:9" in first.err
    with ServerProcess("reviews", workspace / "serving" / "reviews") as server:
        assert command("release", server.target, "--json").result["labels"] == {"stable": 1}
        second = command("run", server.target, "--json", "--set", "train.seed=7")
        assert (second.result["verdict"], versions(workspace)) == ("pushed", [1, 2]), second.err
        assert "Version 2 is canary on the servers." in second.err
        with PredictionClient(server.target, "reviews", label="stable") as client:
            assert client.predict([{"review_text": "I love it"}])[0].version == 1
            released = command("release", server.target, "--json", "--why", "Weekly.")
            assert (released.code, released.result["verdict"]) == (0, "promoted"), released.err
            assert released.result["numbers"]["requests"] == 200
            assert released.result["numbers"]["rows"] > 200
            assert client.predict([{"review_text": "I love it"}])[0].version == 2
        assert command("rollback", server.target).code == 0
        assert command("release", server.target, "--json").result["verdict"] == "unchanged"
    moves = [json.loads(line) for line in command("releases", "127.0.0.1:9", "--json").out.splitlines()]
    assert [(move["action"], move["version"]) for move in moves] == [
        ("rollback", 2), ("promote", 2), ("canary", 2), ("canary", 2), ("promote", 1), ("promote", 1),
    ]  # fmt: skip
    assert moves[1]["why"].startswith("Weekly. 200 requests were compared")
    history = History(connection_config(load(small_config).metadata, workspace / "metadata.sqlite"), "reviews")
    records = [each for each in history._store.get_executions() if each.type == "Release"]
    events = history._store.get_events_by_execution_ids([each.id for each in records])
    linked = history._store.get_artifacts_by_id([event.artifact_id for event in events])
    assert {each.type for each in linked} == {"PushedModel"}
    assert len(events) == 5  # all but the move that no server heard of
