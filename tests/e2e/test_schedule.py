"""Five days under the scheduler: good, good, other labels, a broken file, good again; a kill amid a run."""

import json
import os
import re
import signal

import numpy as np
import pytest
import yaml

from components.answer_record import AnswerRecord
from components.pusher.versions import release_dir
from pipeline.config import load
from pipeline.schedule.once import run_once
from pipeline.workspace import Workspace
from tests.e2e.conftest import FEW_QUESTIONS, attention_process, versions, write_config, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ROWS_A_DAY = 400


@pytest.fixture(scope="module")
def config(small_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    raw = yaml.safe_load(small_config.read_text(encoding="utf-8"))
    raw["data"] |= {"input": f"{folder}/reviews-{{DATE}}.csv", "window": {"train": 2}, "replay": 0.5}
    raw["model"] = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2}
    raw["text"] = {"vocabulary_size": 300}
    raw["train"] = {"epochs": 1, "warm_start": "latest_blessed"}
    gates = {"accuracy": {"min": 0.1, "max_drop": 0.5}}
    raw["evaluation"] = {"gates": gates, "sanity": {"severity": "warn"}, **FEW_QUESTIONS}
    raw["evaluation"]["forgetting"] = {"rows": 60, "severity": "warn"}
    raw["schedule"] = {"new_data": True, "settle_seconds": 0, "retry": {"attempts": 2, "pause_seconds": 0}}
    return write_config(raw, folder / "config.yaml")


@pytest.fixture
def arrive(config, reviews):
    """Puts a day's file beside the config, as a shop would: written elsewhere, then moved."""

    def put(day, share_of_unhappy=None, content=None, new_class=None):
        path = config.parent / f"reviews-202601{day:02}.csv"
        table = reviews.slice((day - 1) * ROWS_A_DAY, ROWS_A_DAY)
        if share_of_unhappy is not None:
            labels = np.array(reviews["Recommended IND"])
            few, many = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
            unhappy = int(ROWS_A_DAY * share_of_unhappy)
            table = reviews.take(np.concatenate([few[: ROWS_A_DAY - unhappy], many[:unhappy]]))
        if new_class is not None:
            place = table.column_names.index("Recommended IND")
            labels = [new_class if row % 12 == 0 else str(label) for row, label in enumerate(table[place].to_pylist())]
            table = table.set_column(place, "Recommended IND", [labels])
        partial = path.with_suffix(".part")
        if content is None:
            write_csv(table, partial)
        else:
            partial.write_text(content, encoding="utf-8")
        partial.rename(path)
        return path

    return put


def test_days_are_pushed_blocked_or_tried_again(attention, config, arrive, reviews, tmp_path):
    workspace = tmp_path / "workspace"

    def look():
        done = attention("schedule", config, "-w", workspace, "--once", "--json")
        assert "Traceback" not in done.err
        return done

    arrive(1)
    process = attention_process("schedule", config, "-w", workspace, "--once", "--json", start_new_session=True)
    for line in process.stderr:
        if "ExampleGen" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert json.loads((workspace / "schedule.json").read_text())["pending"]["at_work"]
    done = look()
    assert (done.code, done.result["verdict"], done.result["version"]) == (0, "pushed", 1), done.err
    assert "again, due by new_data" in done.err
    assert done.result["rows"]["read"] == ROWS_A_DAY
    assert "The training starts afresh" in done.err
    assert look().result["verdict"] == "not_due"

    arrive(2)
    done = look()
    assert (done.code, done.result["verdict"], done.result["version"]) == (0, "pushed", 2), done.err
    assert done.result["rows"]["read"] == 2 * ROWS_A_DAY
    assert "The training starts from the live version" in done.err

    arrive(3, share_of_unhappy=0.8)
    done = look()
    assert (done.code, done.result["verdict"]) == (3, "blocked"), done.err
    assert any(not gate["passed"] and "label" in gate["name"] + gate["why"] for gate in done.result["gates"])
    assert look().result["verdict"] == "not_due", "what a gate blocked is not tried again"

    broken = arrive(4, content="Review Text,Title\nhalf a fi")
    done = look()
    assert (done.code, done.result["verdict"], done.result["attempt"]) == (2, "failed", 1), done.err
    assert broken.name in done.result["why"]
    assert look().result["attempt"] == 2
    assert look().result["verdict"] == "not_due", "given up until the data changes"
    assert versions(workspace) == [1, 2]

    for day in (3, 4):  # the shop sends both again, with an answer that it has never sent before
        arrive(day, new_class="perhaps")
    done = look()
    assert (done.code, done.result["verdict"], done.result["version"]) == (0, "pushed", 3), done.err
    assert done.result["rows"]["read"] == 4 * ROWS_A_DAY
    assert re.search(r"; replay: 1\d\d rows of 1 older span\b", done.err), done.err
    assert "The training starts from the live version" in done.err
    assert "recall/perhaps" in done.result["metrics"]
    assert versions(workspace) == [1, 2, 3]
    kept = json.loads(
        (workspace / "serving" / "reviews" / "3" / "assets.extra" / "release" / "kept" / "kept.json").read_text()
    )
    assert [each["name"] for each in kept] == ["reviews-20260101.csv", "reviews-20260102.csv", "reviews-20260104.csv"]
    # Day 1 was tested on first; the window has passed it since, half of its rows are replayed. Day 2 is in the window.
    assert [len(each["first"]["label"]) for each in kept[1:]] == [60, 60]
    assert len(kept[1]["trained"]) > 30
    assert {"forgetting/reviews-20260101.csv", "forgetting/reviews-20260102.csv"} <= {
        gate["name"] for gate in done.result["gates"]
    }
    told = [json.loads(line) for line in attention("runs", config, "-w", workspace, "--json").out.splitlines()]
    assert [each["verdict"] for each in told] == [
        "pushed",
        "failed",
        "failed",
        "blocked",
        "pushed",
        "pushed",
        "interrupted",
    ]

    # What the newest version answered to test rows is kept with it, and its gates are tried on labels that come later.
    answers = AnswerRecord.read(release_dir(workspace / "serving" / "reviews", 3))
    assert answers.rows == sum(answers.heads["label"].labels.values()) == FEW_QUESTIONS["rows"]
    assert 0 <= answers.unknown_tokens < answers.tokens
    fresh = write_csv(reviews.slice(2000, 200), tmp_path / "fresh.csv")
    settings = [f"schedule.fresh_labels.data={fresh}", "evaluation.gates.accuracy.min=0.999"]
    runs = []

    def run(config, *_):
        runs.append(config)
        return {"verdict": "unchanged", "why": ""}

    for _ in range(2):
        done = run_once(load(config, settings), Workspace(workspace), run)
    assert (done["verdict"], len(runs)) == ("not_due", 1)
    (judged,) = json.loads((workspace / "schedule.json").read_text())["judged"].values()
    assert (judged["outcome"], judged["version"], judged["answered"]) == ("failed", 3, True)
    assert re.search(r"fresh\.csv: gate metric/accuracy: accuracy is 0\.\d+; at least 0\.9990 is asked", judged["why"])


def test_a_signal_ends_a_run_after_the_step_under_way(config, arrive, tmp_path):
    workspace = tmp_path / "workspace"
    arrive(1)
    process = attention_process("schedule", config, "-w", workspace, "--once", "--json")
    told = []
    for line in process.stderr:
        told.append(line)
        if "ExampleGen" in line and "s  " in line:  # its last line: StatisticsGen is at work
            process.terminate()
            break
    out, rest = process.communicate(timeout=120)
    assert process.returncode == 1
    assert json.loads(out)["verdict"] == "interrupted"
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert "Trainer" not in rest
    pending = json.loads((workspace / "schedule.json").read_text())["pending"]
    assert (pending["at_work"], pending["attempt"]) == (False, 0)
