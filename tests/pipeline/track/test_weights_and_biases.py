"""What Weights & Biases gets of a run, read back from its offline store."""

import json
import struct
import sys

import pytest

from pipeline.config import override, parse
from pipeline.console import RunConsole
from pipeline.run_end import follow_up
from pipeline.track import weights_and_biases
from pipeline.track.options import WandbOptions
from pipeline.workspace import Workspace
from tests.pipeline.report.conftest import record
from tests.pipeline.test_config import SMALL

BLOCK, HEADER, START = 32_768, 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path):
    """The records of a store, which has LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, parts, found = path.read_bytes(), START, [], []
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        if kind not in (FULL, FIRST, MIDDLE, LAST):
            break
        parts.append(data[place + HEADER : place + HEADER + length])
        place += HEADER + length
        if kind in (FULL, LAST):
            found.append(Record.FromString(b"".join(parts)))
            parts = []
    return found


@pytest.fixture
def tracked(tmp_path):
    """A record, and what the store holds of it: kind → records."""
    report = record(
        config={"train": {"epochs": 2, "learning_rate": 0.1}, "heads": {}, "data": {"input": ["a.csv"]}},
        verdict="pushed",
        version=4,
    )
    page = tmp_path / "reports" / "report.html"
    page.parent.mkdir()
    page.write_text("<p>the page</p>")
    place = weights_and_biases.track(WandbOptions(project="mood", mode="offline"), report, page, tmp_path)
    (store,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert place == str(store.parent)
    kinds = {}
    for each in records(store):
        kinds.setdefault(each.WhichOneof("record_type"), []).append(each)
    return store.parent, kinds


def test_the_record_lies_in_the_store(tracked):
    folder, kinds = tracked
    (run,) = [each.run for each in kinds["run"]][:1]
    assert (run.project, run.run_id, run.run_group, run.job_type) == (
        "mood", "20260101-030000.000", "reviews", "pushed",
    )  # fmt: skip
    assert list(run.tags) == ["reviews", "pushed", "version 4"]
    config = {each.key: json.loads(each.value_json) for each in run.config.update}
    assert config["train.learning_rate"] == 0.0021, "as it was tuned"
    assert (config["train.epochs"], config["data.input"], config["heads"]) == (2, ["a.csv"], {})
    curve = [{each.key or each.nested_key[0]: json.loads(each.value_json) for each in history.history.item}
             for history in kinds["history"]]  # fmt: skip
    assert [(logs["_step"], logs["loss"], logs.get("val_loss")) for logs in curve] == [(1, 1.0, None), (2, 0.5, 0.6)]
    summary = {}
    for each in kinds["summary"]:
        summary |= {item.key: json.loads(item.value_json) for item in each.summary.update}
    assert summary["test/accuracy"] == 0.8
    assert (summary["gate/metric/accuracy"], summary["passed/metric/accuracy"]) == (0.8, False)
    assert "gate/drift" not in summary, "was not measured"
    assert (summary["rows/quarantined"], summary["seconds/ExampleGen"], summary["version"]) == (2, 3700.0, 4)
    assert (folder / "files" / "report.html").read_text() == "<p>the page</p>"
    assert kinds["exit"][0].exit.exit_code == 0


def test_a_tracker_that_fails_changes_nothing_of_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    config = parse(override(SMALL, ["track.wandb.project=mood"]))
    result = {"verdict": "failed", "version": None, "metrics": {}, "gates": [], "rows": {"read": 0, "used": 0,
              "quarantined": 0}, "seconds": {}, "why": "There is no file."}  # fmt: skip
    (tmp_path / "logs" / "r1").mkdir(parents=True)
    added = follow_up(config, Workspace(tmp_path), RunConsole(sys.stderr), "r1", result)
    assert added == {"report": str(tmp_path / "reports" / "r1" / "report.html")}
    assert "Weights & Biases was not told: the environment variable WANDB_API_KEY is not set" in capsys.readouterr().err


def test_a_server_that_is_away_is_told_and_leaves_no_service(tmp_path, monkeypatch):
    import psutil

    monkeypatch.setenv("WANDB_API_KEY", "SECRET" * 7)
    options = WandbOptions(project="mood", base_url="http://127.0.0.1:9", timeout_seconds=1)
    with pytest.raises(Exception, match="127.0.0.1:9|[Tt]imed out") as caught:
        weights_and_biases.track(options, record(), tmp_path / "report.html", tmp_path)
    assert "SECRET" not in str(caught.value)
    assert not [each for each in psutil.Process().children(recursive=True) if "wandb" in each.name()]


def test_secrets_do_not_stand_in_a_config():
    with pytest.raises(ValueError, match="base_url"):
        WandbOptions(project="mood", base_url="https://user:password@host")
