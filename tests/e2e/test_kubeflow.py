"""The compiled pipeline, walked step by step in processes of its own, pushes what the local runner pushes."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import versions, write_csv
from tests.e2e.kubeflow_walk import Walk
from tests.pipeline.test_dag import NODES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROWS = 1000


def release_of(workspace):
    path = workspace / "serving" / "reviews" / "1" / "assets.extra" / "release" / "release.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_walk_pushes_what_the_local_runner_pushes_and_bad_rows_stop_one(attention, small_config, reviews, tmp_path):
    good = write_csv(reviews.slice(0, ROWS), tmp_path / "reviews.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text(good.read_text(encoding="utf-8") + "1,2\n" * (ROWS // 20), encoding="utf-8")
    small = ("train.epochs=1", "evaluation.gates.accuracy.min=0.1")
    cluster = (
        "kubeflow.image=attention-pipeline:0.1.0",
        f"kubeflow.volumes={json.dumps({'all': str(tmp_path)})}",
    )
    runners = {"good": ("beam.runner=processes", "beam.workers=2"), "bad": ()}  # the local run's is in memory

    def flags(data, *settings):
        return [part for setting in (f"data.input={data}", *small, *settings) for part in ("--set", setting)]

    walks = {}
    for name, data in (("good", good), ("bad", bad)):
        package = tmp_path / f"{name}.yaml"
        done = attention(
            "compile", small_config, "-o", package, "-w", tmp_path / name, *flags(data, *cluster, *runners[name])
        )
        assert done.code == 0, done.err
        walks[name] = package
    with ThreadPoolExecutor(1) as pool:
        good_end = pool.submit(Walk(tmp_path / "good-steps").run, walks["good"])
        local = attention("run", small_config, "-w", tmp_path / "local", "--json", *flags(good))
        bad_walk = Walk(tmp_path / "bad-steps").run(walks["bad"])
        good_walk = good_end.result()
    assert local.result["verdict"] == "pushed", local.err

    assert good_walk.states == dict.fromkeys(NODES, "ran")
    assert versions(tmp_path / "good") == [1]
    pushed, expected = release_of(tmp_path / "good"), release_of(tmp_path / "local")
    assert pushed["content_hash"] == expected["content_hash"]
    told = good_walk.metadata("Pusher", "pushed_model")
    assert (told["pushed"], told["version"], told["content_hash"]) == (1, 1, expected["content_hash"])
    assert good_walk.metadata("ExampleGen", "examples")["rows_used"] == local.result["rows"]["used"]

    behind = NODES.index("Transform")
    assert bad_walk.states == dict.fromkeys(NODES[:behind], "ran") | dict.fromkeys(NODES[behind:], "skipped")
    assert bad_walk.metadata("DataGate", "blessing")["blessed"] == 0
    assert versions(tmp_path / "bad") == []
