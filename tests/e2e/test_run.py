"""The main job on real reviews: run, run again, new data, bad data, a model that is not good enough."""

import hashlib
import json
import shutil
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.e2e.conftest import versions, write_csv
from tests.pipeline.report.page_parts import Page

# TFX, Beam and Keras warn while they work together; our own code is held to no warnings by the other tests.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace")


def test_the_first_run_pushes_a_version(attention, small_config, workspace, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = attention("run", small_config, "--workspace", workspace, "--json")
    assert done.code == 0, done.err
    assert list(tmp_path.iterdir()) == []
    result = done.result
    assert result["verdict"] == "pushed"
    assert result["version"] == 1
    assert versions(workspace) == [1]
    rows = result["rows"]
    assert rows["read"] == reviews.num_rows == rows["used"] + rows["quarantined"]
    assert result["gates"]
    assert all(gate["passed"] for gate in result["gates"])
    assert 0.5 < result["metrics"]["accuracy"] <= 1
    assert {"recall/0", "recall/1", "auc", "macro_f1", "expected_calibration_error"} <= result["metrics"].keys()
    for step in ("ExampleGen", "Transform", "Trainer", "Evaluator", "ReleaseGate", "Pusher"):
        assert step in done.err
        assert result["seconds"][step] > 0
    assert "pushed version 1" in done.err
    assert "tensorflow" not in done.err.lower().replace("starting tensorflow", "")
    page = Path(result["report"])
    assert page == workspace / "reports" / result["run"] / "report.html"
    assert f"report: {page}" in done.err
    assert page.stat().st_size < 500_000


def test_the_record_of_a_run_tells_it_all(attention, small_config, workspace, reviews, tmp_path):
    made = attention("report", small_config, "-w", workspace, "--out", tmp_path / "again")
    assert made.code == 0, made.err
    (folder,) = (workspace / "reports").iterdir()
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record == json.loads((tmp_path / "again" / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(record, json.loads(attention("report", "--schema").out))
    assert (record["verdict"], record["version"], record["live_version"]) == ("pushed", 1, None)
    source = Path(record["data"]["source_files"][0])
    assert record["data"]["source_sha256"] == {str(source): hashlib.sha256(source.read_bytes()).hexdigest()}
    for split in record["data"]["splits"]:
        assert sum(split["classes"]["label"].values()) == split["rows"] > 0
    kinds = {each["name"]: each["kind"] for each in record["data"]["distributions"]}
    assert kinds["label"] == "category"
    assert "words" in kinds.values()
    for each in record["data"]["distributions"]:
        assert list(each["shares"]) == (["train"] if each["kind"] == "words" else ["train", "eval", "test"])
        for shares in each["shares"].values():
            assert len(shares) == len(each["bins"])
            assert sum(shares) == pytest.approx(1, abs=1e-4)
    spread = next(each for each in record["data"]["distributions"] if each["name"] == "label")
    for split in record["data"]["splits"]:
        counted = [split["classes"]["label"][name] / split["rows"] for name in spread["bins"]]
        assert spread["shares"][split["name"]] == pytest.approx(counted, abs=1e-5)
    (head,) = record["heads"]
    tests = record["data"]["splits"][2]["rows"]
    assert sorted(head["classes"]) == ["0", "1"]
    assert sum(map(sum, head["confusion"])) == sum(each["rows"] for each in head["calibration"]) == tests
    right = sum(row[place] for place, row in enumerate(head["confusion"]))
    (accuracy,) = [each for each in record["metrics"] if each["name"] == "accuracy"]
    assert accuracy["value"] == pytest.approx(right / tests)
    assert (accuracy["limits"], accuracy["passed"], accuracy["live"]) == ({"min": 0.5, "max_drop": 0.05}, True, None)
    assert sum(each["metrics"]["example_count"] for each in record["slices"]) <= tests
    assert [each["right"] for each in record["examples"]] == [True] * 4 + [False] * 4
    for example in record["examples"]:
        assert sum(word["weight"] for word in example["words"]) == pytest.approx(1, abs=1e-3)
        assert example["right"] == ([example["answers"]["label"]["label"]] == example["labels"]["label"])
    assert record["lineage"][0]["artifact"] == "PushedModel"
    assert {"Model", "TransformGraph", "Schema", "Examples"} <= {each["artifact"] for each in record["lineage"]}
    assert record["model"]["pushed_to"] == str(workspace / "serving" / "reviews" / "1")
    assert record["environment"]["packages"]["tfx"].startswith("1.")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.tags["svg"] == 5 + len(kinds)
    assert [(each["order"], each["rows"] > 0) for each in record["deletion"]["curves"]] == [
        ("attention", True), ("random", True), ("attention", True), ("occlusion", True),
    ]  # fmt: skip
    assert all(reference.startswith("#") for reference in page.references)
    assert "What it attended to" in "".join(page.text)


def test_nothing_new_is_not_pushed_again(attention, small_config, workspace):
    done = attention("run", small_config, "--workspace", workspace, "--json")
    assert done.code == 0, done.err
    assert done.result["verdict"] == "unchanged"
    assert done.result["version"] == 1
    seconds = done.result["seconds"]
    for step in ("Transform", "Trainer", "BaselineModel", "Evaluator", "ReleaseGate"):
        assert seconds[step] == 0, step
    assert done.result["gates"]
    assert all(gate["passed"] for gate in done.result["gates"])
    assert "nothing new" in done.err
    assert versions(workspace) == [1]


def test_training_again_with_the_same_seed_gives_the_same_model(attention, small_config, workspace):
    done = attention("run", small_config, "--workspace", workspace, "--json", "--no-cache")
    assert done.result["verdict"] == "unchanged", done.err
    assert done.result["seconds"]["Trainer"] > 0
    assert versions(workspace) == [1]


def test_a_model_below_its_gate_is_not_pushed(attention, small_config, workspace):
    done = attention(
        "run", small_config, "--workspace", workspace, "--json", "--set", "evaluation.gates.accuracy.min=0.999"
    )
    assert done.code == 3, done.err
    assert done.result["verdict"] == "blocked"
    (closed,) = [gate for gate in done.result["gates"] if gate["name"] == "metric/accuracy"]
    assert not closed["passed"]
    assert closed["limit"] == 0.999
    assert closed["value"] == pytest.approx(done.result["metrics"]["accuracy"])
    assert "blocked by gate metric/accuracy" in done.err
    assert versions(workspace) == [1]
    summary = Path(done.result["report"]).with_name("summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# reviews: blocked\n")
    assert "closed: `metric/accuracy`" in summary


def test_a_gate_is_overruled_with_a_reason_for_one_run(attention, small_config, workspace):
    done = attention(
        *("run", small_config, "--workspace", workspace, "--json", "--set", "evaluation.gates.accuracy.min=0.999"),
        *("--overrule", "metric/accuracy=The limit is a typing error.", "--overrule", "leak/age=nothing"),
    )
    assert done.code == 0, done.err
    assert done.result["verdict"] == "unchanged"
    overruled = {gate["name"]: gate["overruled"] for gate in done.result["gates"] if gate["overruled"]}
    assert overruled["metric/accuracy"] == "The limit is a typing error."
    assert set(overruled) == {"metric/accuracy", "metric/blessing"}
    assert "--overrule leak/age had nothing to do" in done.err
    shown = attention("show", "latest", small_config, "-w", workspace).out
    assert "overruled: The limit is a typing error." in shown


def test_the_gates_are_tried_on_a_version_without_a_run(attention, small_config, workspace, reviews, tmp_path):
    model, table = workspace / "serving" / "reviews" / "1", write_csv(reviews.slice(0, 300), tmp_path / "new.csv")
    limits = ("--set", "evaluation.rows=100", "--set", "evaluation.cost.requests=5")
    done = attention("gate", model, small_config, "--data", table, "--out", tmp_path / "out", *limits)
    assert done.code == 0, done.out + done.err
    assert "metric/accuracy" in done.out
    assert (tmp_path / "out" / "gates.json").exists()
    done = attention("gate", model, small_config, "--data", table, "--live", model, "--json", *limits, *limits[:1],
                     "evaluation.gates.accuracy.min=1")  # fmt: skip
    assert done.code == 3
    gates = {gate["name"]: gate for gate in done.result}
    assert [name for name, gate in gates.items() if not gate["passed"] and gate["severity"] == "block"] == [
        "metric/accuracy"
    ]
    assert gates["metric/accuracy/vs_live"]["value"] == gates["flips"]["value"] == 0
    assert "from version 1" in gates["flips"]["why"]
    (name,) = [name for name in gates if name.startswith("forgetting/")]
    assert gates[name]["value"] == 0
    assert "Which of them the candidate was trained on is not known." in gates[name]["why"]


def test_broken_rows_are_kept_counted_and_stop_the_run(attention, small_config, workspace, reviews, tmp_path):
    path = write_csv(reviews, tmp_path / "reviews.csv")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = path.read_text(encoding="utf-8")
    broken = "1,2\n" * (reviews.num_rows // 20)
    path.write_text(whole + broken, encoding="utf-8")
    assert lines
    done = attention("run", small_config, "--workspace", workspace, "--json", "--set", f"data.input={path}")
    assert done.code == 3, done.err
    assert done.result["verdict"] == "blocked"
    rows = done.result["rows"]
    assert rows["quarantined"] == reviews.num_rows // 20
    assert rows["read"] == rows["used"] + rows["quarantined"] == reviews.num_rows + reviews.num_rows // 20
    (closed,) = [gate for gate in done.result["gates"] if not gate["passed"]]
    assert closed["name"] == "rows/bad_ratio"
    assert str(path) in closed["why"] or "quarantine" in closed["why"]
    quarantined = [
        json.loads(line)
        for file in (workspace / "quarantine").rglob("*.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    assert len(quarantined) == rows["quarantined"]
    assert versions(workspace) == [1]
    text = "".join(Page(Path(done.result["report"]).read_text(encoding="utf-8")).text)
    assert "rows/bad_ratio" in text
    assert "Quarantine" in text
    assert "Calibration" not in text


def test_shifted_labels_are_stopped_by_the_drift_gate(attention, small_config, workspace, reviews, tmp_path):
    label = reviews["Recommended IND"]
    unhappy = reviews.filter(pc.equal(label, 0))
    shifted = pa.concat_tables([unhappy, unhappy, unhappy, reviews.slice(0, 400)])
    path = write_csv(shifted, tmp_path / "shifted.csv")
    done = attention("run", small_config, "--workspace", workspace, "--json", "--set", f"data.input={path}")
    assert done.code == 3, done.err
    assert "drift/label" in {gate["name"] for gate in done.result["gates"] if not gate["passed"]}
    assert versions(workspace) == [1]


def test_new_rows_make_a_new_version_that_is_compared_with_the_live_one(
    attention, small_config, workspace, reviews, tmp_path
):
    path = write_csv(reviews.slice(0, 2900), tmp_path / "reviews.csv")
    done = attention(
        "run", small_config, "--workspace", workspace, "--json", "--set", f"data.input={path}",
        "--set", "evaluation.gates.accuracy.max_drop=0.5",
        "--set", "evaluation.gates.accuracy.slices={min: 0.1, max_drop: 0.9}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.result["verdict"] == "pushed"
    assert versions(workspace) == [1, 2]
    of_slices = [gate for gate in done.result["gates"] if "/slices" in gate["name"]]
    assert [gate["name"] for gate in of_slices] == ["metric/accuracy/slices", "metric/accuracy/slices/vs_live"]
    assert all("of chance 95% lies between" in gate["why"] for gate in of_slices), of_slices
    (compared,) = [gate for gate in done.result["gates"] if gate["name"] == "metric/accuracy/vs_live"]
    assert "against version 1's" in compared["why"]
    record = json.loads(Path(done.result["report"]).with_name("run.json").read_text(encoding="utf-8"))
    (accuracy,) = [each for each in record["metrics"] if each["name"] == "accuracy"]
    assert accuracy["change_low"] < accuracy["value"] - accuracy["live"] < accuracy["change_high"]
    for each in record["data"]["distributions"]:
        assert list(each["shares"])[-1] == "live version 1"
        assert sum(each["shares"]["live version 1"]) == pytest.approx(1, abs=1e-4)


def test_the_history_tells_it_all(attention, small_config, workspace):
    listed = [json.loads(line) for line in attention("runs", small_config, "-w", workspace, "--json").out.splitlines()]
    assert [run["verdict"] for run in listed] == [
        "pushed", "blocked", "blocked", "unchanged", "blocked", "unchanged", "unchanged", "pushed",
    ]  # fmt: skip
    shown = attention("show", "latest", small_config, "-w", workspace, "--json").result
    assert shown == listed[0]
    text = attention("show", listed[0]["run"], small_config, "-w", workspace).out
    assert "metric/accuracy" in text
    assert "config.yaml" in text
    lineage = attention("lineage", "1", small_config, "-w", workspace, "--json").result
    kinds = {record["artifact"] for record in lineage}
    assert {"PushedModel", "Model", "TransformGraph", "Schema", "ExampleStatistics", "Examples"} <= kinds
    assert attention("lineage", "1", small_config, "-w", workspace).out.count("reviews.csv") >= 1


def test_a_schema_is_written_out_and_used_when_curated(attention, small_config, workspace, tmp_path):
    out = tmp_path / "schema.pbtxt"
    assert attention("schema", small_config, "-w", workspace, "--out", out).code == 0
    text = out.read_text(encoding="utf-8")
    assert 'name: "review_text"' in text
    curated = text.replace('value: "1"', 'value: "never"')
    out.write_text(curated, encoding="utf-8")
    done = attention("run", small_config, "-w", workspace, "--json", "--set", f"schema_file={out}")
    assert done.code == 3, done.err
    assert any(gate["name"].startswith("schema/") and not gate["passed"] for gate in done.result["gates"])


def test_a_model_whose_version_was_lost_is_pushed_again(attention, small_config, workspace):
    shutil.rmtree(workspace / "serving" / "reviews" / "1")
    shutil.rmtree(workspace / "serving" / "reviews" / "2")
    done = attention("run", small_config, "-w", workspace, "--json")
    assert done.code == 0, done.err
    assert done.result["verdict"] == "pushed"
    assert done.result["seconds"]["Trainer"] == 0
    assert versions(workspace) == [3]
