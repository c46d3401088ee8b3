"""The pipeline's Beam steps on workers that an engine starts: the same artifacts as in memory, also after a kill.

This is Beam's own job service with two workers, and not Flink: Beam's job server for Flink is a Java program that only
Maven Central has, and where this was written it could not be fetched. What is alike: the job goes as a portable
pipeline to a service of another process, whose workers come from a pool and see nothing but the shared disk. What is
not shown: Flink's scheduling, its shuffle and its recovery of a part of a job; here a job begins anew as a whole.
"""

import json
import subprocess
import sys
import threading
import time

import psutil
import pytest
import tensorflow_data_validation as tfdv

from deploy.setup import beam_engine
from tests.e2e.conftest import write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROWS = 600
SMALL = (
    "train.epochs=1",
    "text.vocabulary_size=300",
    "model.hidden_dim=16",
    "evaluation.gates.accuracy.min=0.1",
    "evaluation.sanity.severity=warn",
)


@pytest.fixture
def engine(tmp_path):
    """A job service with two workers: its process, its settings as flags, and its log."""
    log = tmp_path / "engine.log"
    command = [sys.executable, beam_engine.__file__, "portable", "--workers", "2"]
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        facts = json.loads(process.stdout.readline())
        yield process, [f"beam.{name}={value}" for name, value in facts.items()], log
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def workers_of(process):
    """The engine forks them off a process of its own."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if child.ppid() != process.pid]


def kill_one(process, when, killed):
    """Kills the first worker that comes once a path is there."""
    earlier: set[int] = set()
    while process.poll() is None and not killed:
        new = {each.pid: each for each in workers_of(process) if each.pid not in earlier}
        if not when.exists():
            earlier |= new.keys()
        elif new:
            pid, worker = new.popitem()
            worker.kill()
            killed.append(pid)
        time.sleep(0.02)


def flags(*settings):
    return [part for setting in (*SMALL, *settings) for part in ("--set", setting)]


def artifact(workspace, node, name):
    (found,) = (workspace / "artifacts" / node / name).iterdir()
    return found


def statistics(workspace):
    """Of train: feature → counts of rows and values, mean and deviation, and how often each value is there."""
    path = artifact(workspace, "StatisticsGen", "statistics") / "Split-train" / "FeatureStats.pb"
    (dataset,) = tfdv.load_stats_binary(str(path)).datasets
    found = {"": dataset.num_examples}
    for feature in dataset.features:
        name = feature.path.step[0]
        numbers, texts = feature.num_stats, feature.string_stats
        common = (numbers if feature.HasField("num_stats") else texts).common_stats
        told = [common.num_non_missing, common.num_missing, numbers.mean, numbers.std_dev, texts.unique]
        found |= {(name, place): value for place, value in enumerate(told)}
        found |= {(name, bucket.label): bucket.sample_count for bucket in texts.rank_histogram.buckets}
    return found


def assets(workspace):
    """What Transform learnt: the vocabularies, byte for byte."""
    folder = artifact(workspace, "Transform", "transform_graph") / "transform_fn" / "assets"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def predictions(folder):
    lines = [line for part in sorted(folder.glob("part-*.jsonl")) for line in part.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_two_workers_make_what_memory_makes_though_one_is_killed(attention, small_config, reviews, tmp_path, engine):
    data = tmp_path / "data"
    data.mkdir()
    for part in range(2):  # a unit of work for each worker
        write_csv(reviews.slice(part * ROWS // 2, ROWS // 2), data / f"{part}.csv")
    process, settings, log = engine
    local, remote = tmp_path / "local", tmp_path / "remote"

    expected = attention("run", small_config, "-w", local, "--json", *flags(f"data.input={data}"))
    assert expected.result["verdict"] == "pushed", expected.err
    assert "Beam runs in memory: the input has 0." in expected.err
    killed: list[int] = []
    threading.Thread(target=kill_one, args=(process, remote / "artifacts/StatisticsGen", killed), daemon=True).start()
    done = attention("run", small_config, "-w", remote, "--json", *flags(f"data.input={data}", *settings))
    assert done.result["verdict"] == "pushed", done.err
    (pid,) = killed
    assert f"worker {pid} ended with code -9; attempt 1 of 3 is given up" in log.read_text()

    assert done.result["rows"] == expected.result["rows"]
    assert statistics(remote) == pytest.approx(statistics(local), rel=1e-9)
    assert assets(remote) == assets(local) != {}
    assert done.result["metrics"] == pytest.approx(expected.result["metrics"], rel=1e-6)

    batch = ("batch-predict", small_config, "-w", local, "-i", data)
    for runner, folder in (((), "memory"), (settings, "workers")):
        ended = attention(*batch, "-o", tmp_path / folder, *flags(*runner))
        assert ended.code == 0, ended.err
    ours, theirs = predictions(tmp_path / "workers"), predictions(tmp_path / "memory")
    assert len(ours) == ROWS
    for one, other in zip(ours, theirs, strict=True):
        assert one.pop("probabilities") == pytest.approx(other.pop("probabilities"), rel=1e-5)
        assert one == other
