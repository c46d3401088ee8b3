"""What is wrong with a table is told in one sentence; what is killed goes on; a second run in one workspace waits."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.e2e.conftest import attention_process, versions, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

GATES = ("evaluation.gates.accuracy.min=0.1", "evaluation.sanity.severity=warn")
"""What a hardly trained model gets through."""


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        ("", "mood", "is empty"),
        ("text,mood\n", "mood", "has columns but no rows|no rows"),
        ("text,mood\n" + "good day,1\nbad day,1\n" * 40, "mood", "1 different values|one class only"),
        ("text,mood\n" + "good day,1\nbad day,0\n" * 40, "moood", "no column `moood`. Its columns are: `text`, `mood`"),
        (None, "mood", "There is no file"),
    ],
    ids=["empty", "header", "one class", "no label column", "no file"],
)
def test_a_table_that_cannot_be_used_is_told_in_one_sentence(attention, tmp_path, content, label, message):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    done = attention("run", "--data", path, "--label", label, "-w", tmp_path / "workspace")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert re.search(message, done.err), done.err
    assert "Traceback" not in done.err


def test_a_nightly_table_that_went_bad_leaves_a_whole_result(attention, small_config, tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("Review Text,Title\n", encoding="utf-8")
    workspace = tmp_path / "workspace"
    done = attention("run", small_config, "-w", workspace, "--json", "--set", f"data.input={path}")
    assert done.code == 2, done.err
    assert done.result["verdict"] == "failed"
    assert done.result["why"].startswith("ExampleGen: ")
    assert "Age" in done.result["why"]
    assert done.result["rows"] == {"read": 0, "used": 0, "quarantined": 0}
    (listed,) = attention("runs", small_config, "-w", workspace, "--json").out.splitlines()
    assert json.loads(listed)["why"] == done.result["why"]
    page = Path(done.result["report"])
    assert "Age" in page.read_text(encoding="utf-8")
    record = json.loads(page.with_name("run.json").read_text(encoding="utf-8"))
    assert (record["verdict"], record["data"], record["gates"]) == ("failed", None, [])
    assert [(step["node"], step["state"]) for step in record["steps"]] == [("ExampleGen", "failed")]
    page.unlink()
    assert attention("report", small_config, "-w", workspace).code == 0
    assert page.exists()


def test_a_report_or_a_message_that_cannot_be_made_changes_nothing(attention, small_config, tmp_path):
    (tmp_path / "reports").write_text("a file stands in the way", encoding="utf-8")
    settings = [
        f"data.input={tmp_path / 'none.csv'}",
        "notify.webhook.url_variable=NO_SUCH_VARIABLE",
        f"metrics.textfile={tmp_path / 'numbers'}",
    ]
    done = attention("run", small_config, "-w", tmp_path, "--json", *[f"--set={each}" for each in settings])
    assert done.code == 2, done.err
    assert (done.result["verdict"], done.result["report"]) == ("failed", None)
    assert "\nThe report could not be made: " in done.err
    assert "\nThe webhook was not told: the environment variable NO_SUCH_VARIABLE is not set\n" in done.err
    assert "Traceback" not in done.err
    written = (tmp_path / "numbers" / "attention_reviews.prom").read_text(encoding="utf-8")
    assert 'attention_run_verdict{pipeline="reviews",verdict="failed"} 1.0' in written


def test_texts_of_all_kinds_go_through(attention, reviews, small_config, tmp_path):
    odd = [
        "😍" * 50,
        "שלום עולם, אהבתי את השמלה",
        "我喜欢这条裙子",
        "x" * 3_000_000,
        'two\nlines, "quoted", and a lone \r return',
        "\u202eevil\u202c \u0000 nul",
    ]
    rows = reviews.slice(0, 600)
    texts = rows["Review Text"].to_pylist()
    texts[: len(odd)] = odd
    table = rows.set_column(rows.column_names.index("Review Text"), "Review Text", pa.array(texts))
    path = write_csv(table, tmp_path / "odd.csv")
    done = attention(
        "run", small_config, "-w", tmp_path / "workspace", "--json", "--set", f"data.input={path}",
        "--set", "train.epochs=1", "--set", "evaluation.gates.accuracy.min=0.1",
        "--set", "evaluation.sanity.severity=warn",
    )  # fmt: skip
    assert done.result["verdict"] == "pushed", done.err
    assert done.result["rows"] == {"read": 600, "used": 600, "quarantined": 0}


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting a small one, which needs root")
def test_a_full_disk_is_told_and_the_next_run_goes_on(attention, small_config, tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", workspace], check=True)
    try:
        done = attention("run", small_config, "-w", workspace, "--json")
        assert done.code == 1, done.err
        assert done.result["verdict"] == "failed"
        assert f"The disk that holds {workspace} is full" in done.result["why"], done.err
        assert versions(workspace) == []
        subprocess.run(["mount", "-o", "remount,size=200m", workspace], check=True)
        done = attention("run", small_config, "-w", workspace, "--json", "--set", "train.epochs=1")
        assert done.result["verdict"] == "pushed", done.err
    finally:
        subprocess.run(["umount", "--lazy", workspace], check=True)


class Run:
    """A run in a process of its own whose standard error is read as it comes."""

    def __init__(self, config, workspace, *settings):
        options = [part for setting in settings for part in ("--set", setting)]
        # What a shell starts in its background ignores Ctrl-C, and so would all that it starts.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = attention_process("run", config, "-w", workspace, "--json", *options, start_new_session=True)
        finally:
            signal.signal(signal.SIGINT, before)
        self.lines = []

    def wait_for(self, text):
        for line in self.process.stderr:
            self.lines.append(line)
            if text in line:
                return
        raise AssertionError(f"{text!r} was not said: {''.join(self.lines)}")

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def result(self):
        out, err = self.process.communicate(timeout=400)
        self.lines.append(err)
        return json.loads(out.splitlines()[-1])


def test_a_run_killed_in_each_step_goes_on_and_a_second_one_waits(attention, small_config, tmp_path):
    workspace = tmp_path / "workspace"
    settings = ("train.epochs=4", "train.checkpoint_every_steps=3")

    run = Run(small_config, workspace, *settings)
    run.wait_for("DataGate")  # its line comes when it is done: Transform is at work
    second = attention("run", small_config, "-w", workspace, "--json")
    assert second.code == 1
    assert f"Another run (process {run.process.pid}) is at work" in second.result["why"]
    run.kill()

    run = Run(small_config, workspace, *settings)
    run.wait_for("epoch 3/4")
    run.kill()
    assert any((workspace / "checkpoints").iterdir())
    listed = [json.loads(line) for line in attention("runs", small_config, "-w", workspace, "--json").out.splitlines()]
    assert {each["verdict"] for each in listed} <= {"interrupted", "running"}

    run = Run(small_config, workspace, *settings)
    run.wait_for("Evaluator")
    assert "epoch 1/4" not in "".join(run.lines), "the training began anew"
    run.wait_for("ReleaseGate")
    time.sleep(0.3)  # amid the push, or before or after it
    run.kill()
    assert versions(workspace) in ([], [1])

    run = Run(small_config, workspace, *settings)
    assert run.result()["verdict"] in ("pushed", "unchanged")
    assert versions(workspace) == [1]
    assert [each.name for each in (workspace / "serving" / "reviews").iterdir() if each.is_dir()] == ["1"]
    listed = [json.loads(line) for line in attention("runs", small_config, "-w", workspace, "--json").out.splitlines()]
    assert [each["verdict"] for each in listed[1:]] == ["interrupted"] * 3

    # The curve of the killed training is that of one that was left alone.
    alone = tmp_path / "alone"
    assert attention("run", small_config, "-w", alone, "--json", *flags(settings)).result["verdict"] == "pushed"
    assert curve(alone) == curve(workspace)
    shutil.rmtree(alone)


def flags(settings):
    return [part for setting in settings for part in ("--set", setting)]


def curve(workspace):
    (path,) = (workspace / "artifacts" / "Trainer" / "model_run").glob("*/training.json")
    return json.loads(path.read_text(encoding="utf-8"))["curve"]


@pytest.fixture
def few_reviews(reviews, tmp_path):
    return f"data.input={write_csv(reviews.slice(0, 1000), tmp_path / 'reviews.csv')}"


def ctrl_c(run, number=signal.SIGINT):
    """Interrupts a run; it has to say so in one sentence, to leave a record and to end by itself."""
    os.kill(run.process.pid, number)
    _, err = run.process.communicate(timeout=120)
    assert run.process.returncode == 1
    assert "interrupted: finished steps are kept; run it again and it goes on from here." in err
    assert "Traceback" not in err
    page = Path(re.search(r"report: (\S+report\.html)", err)[1])
    facts = json.loads((page.parent / "run.json").read_text(encoding="utf-8"))
    assert page.is_file()
    assert facts["verdict"] == "interrupted"
    return {step["node"]: step["state"] for step in facts["steps"]}


def test_what_nobody_foresaw_is_a_failed_run_with_a_record(attention, small_config, tmp_path, monkeypatch):
    from pipeline import local_runner

    def fail(*_):
        raise ArithmeticError("two and two")

    monkeypatch.setattr(local_runner, "run", fail)
    done = attention("run", small_config, "-w", tmp_path / "workspace", "--json")
    assert done.code == 1
    assert done.result["why"] == "ArithmeticError: two and two (the log holds the traceback)"
    assert Path(done.result["report"]).is_file()


def test_ctrl_c_says_that_the_next_run_goes_on(small_config, tmp_path):
    run = Run(small_config, tmp_path / "workspace")
    run.wait_for("ExampleGen")
    ctrl_c(run)


def test_ctrl_c_while_training_and_while_evaluating_costs_neither(attention, small_config, few_reviews, tmp_path):
    workspace = tmp_path / "workspace"
    settings = (few_reviews, "train.epochs=4", "train.checkpoint_every_steps=1", *GATES)

    run = Run(small_config, workspace, *settings)
    run.wait_for("epoch 3/4")
    assert ctrl_c(run, signal.SIGTERM)["Trainer"] == "interrupted"

    run = Run(small_config, workspace, *settings)
    run.wait_for("BaselineModel")  # its line comes when it is done: the Evaluator is at work
    assert "epoch 1/4" not in "".join(run.lines), "the training began anew"
    time.sleep(1)
    ctrl_c(run)

    done = attention("run", small_config, "-w", workspace, "--json", *flags(settings))
    assert done.result["verdict"] == "pushed", done.err
    seconds = done.result["seconds"]
    assert seconds["Transform"] == seconds["Trainer"] == 0 < seconds["Evaluator"]
    listed = [json.loads(line) for line in attention("runs", small_config, "-w", workspace, "--json").out.splitlines()]
    assert [each["verdict"] for each in listed] == ["pushed", "interrupted", "interrupted"]
