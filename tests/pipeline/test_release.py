"""Labels moved on a real server: canary, compare, promote, take back, by hand, and after a kill."""

import io
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from deploy.serving.client import PredictionClient, PredictionError
from deploy.serving.launch import ServerProcess
from deploy.serving.model_config_file import RolloutError
from pipeline import release_commands
from pipeline.config import ConfigError
from pipeline.release import Release, live_version
from tests.deploy.serving.running_server import wait_until
from tests.deploy.serving.saved_models import export_numbers, export_reviews
from tests.pipeline.released_model import Model

pytestmark = pytest.mark.slow

SLOW_STEPS = 60_000


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("exported")
    export_reviews(root / "reviews")
    export_reviews(root / "equal", bias=0.1)  # other probabilities, the same labels
    export_reviews(root / "flipped", bias=0.4)  # says yes to everything
    export_reviews(root / "slow", steps=SLOW_STEPS)
    export_numbers(root / "numbers")
    shutil.copytree(root / "reviews", root / "broken")
    (root / "broken" / "saved_model.pb").write_bytes(b"no SavedModel")
    return root


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("first") / "numbers"
    shutil.copytree(exported / "numbers", base_path / "1")
    flags = ("--file_system_poll_wait_seconds=0.05", "--max_num_load_retries=0")
    with ServerProcess("numbers", base_path, *flags) as process:
        yield process


@pytest.fixture
def model(server, exported, tmp_path, request):
    def make(*settings):
        name = "m" + "".join(each for each in request.node.name.lower() if each.isalnum())[:40]
        return Model(server, exported, tmp_path / "workspace", name, *settings)

    return make


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    lines = [json.dumps({"review": text, "age": 30}) for text in ("good", "bad") * 10]
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


def test_an_equal_canary_is_promoted_and_the_version_before_stays_for_going_back(model):
    it = model().push("reviews")
    first = it.release()
    assert (first["verdict"], first["labels"]) == ("promoted", {"stable": 1})
    assert "nothing to compare with" in first["why"]
    it.push("equal")
    assert live_version(it.config, it.workspace) == 1
    done = it.release(why="Weekly.", who="ana@desk")
    assert (done["verdict"], done["version"]) == ("promoted", 2)
    assert done["labels"] == {"stable": 2, "previous": 1}
    assert (done["numbers"]["requests"], done["numbers"]["flips"], done["numbers"]["rows"]) == (20, 0, 20)
    assert {gate["name"]: gate["passed"] for gate in done["gates"]} == dict.fromkeys(
        ("requests", "error_rate", "flip_rate", "latency"), True
    )
    assert (it.label(), it.label(label="previous"), live_version(it.config, it.workspace)) == (2, 1, 2)
    assert [(each.action, each.version, each.state) for each in it.changes()] == [
        ("promote", 2, "done"), ("canary", 2, "done"), ("promote", 1, "done"),
    ]  # fmt: skip
    newest = it.changes()[0]
    assert newest.who == "ana@desk"
    assert newest.why.startswith("Weekly. 20 requests were compared")
    assert newest.before == {"stable": 1, "canary": 2}
    again = it.release()
    assert (again["verdict"], again["why"]) == ("unchanged", "Version 2 is stable, and nothing newer was pushed.")


def test_a_canary_with_other_answers_is_taken_back_with_the_numbers_and_not_tried_again(model, rows):
    it = model().push("reviews", "flipped")
    it.release(version=1)
    done = it.release(requests=rows)
    assert (done["verdict"], done["labels"]) == ("rolled_back", {"stable": 1})
    sentence = "Canary answers 10 of 20 rows differently (50.00%; limit 10.00%), such as no → yes, no → yes, no → yes."
    assert done["why"] == sentence
    assert it.label() == 1
    with pytest.raises(PredictionError, match="Unrecognized servable version label: canary"):
        it.label(label="canary")
    again = it.release(requests=rows)
    assert again["verdict"] == "unchanged"
    assert again["why"] == f"Version 2 was taken back: {sentence} Try it again by --version 2."
    assert it.release(version=2, requests=rows)["verdict"] == "rolled_back"


def test_a_canary_that_fails_is_taken_back_at_once(model):
    it = model().push("reviews", "numbers")
    it.release(version=1)
    done = it.release()
    assert done["verdict"] == "rolled_back"
    assert done["numbers"]["requests"] == done["numbers"]["canary_errors"] == 1
    assert "Canary failed in 1 of 1 requests that stable answers (100.00%; limit 0.00%); the first: " in done["why"]
    assert "INVALID_ARGUMENT: input size does not match signature" in done["why"]


def test_a_canary_that_cannot_be_loaded_is_taken_back_while_stable_serves_on(model):
    it = model().push("reviews", "broken")
    it.release(version=1)
    done = it.release()
    assert (done["verdict"], done["labels"]) == ("rolled_back", {"stable": 1})
    assert done["why"].startswith(f"Version 2 was not loaded by {it.server.target}: ")
    assert [(each.action, each.state) for each in it.changes()][:2] == [("rollback", "done"), ("canary", "failed")]
    assert it.label() == 1


def test_a_slow_canary_is_taken_back(model):
    it = model("release.limits.latency_slack_ms=5", "release.limits.latency_ratio=3").push("reviews", "slow")
    it.release(version=1)
    done = it.release()
    assert done["verdict"] == "rolled_back"
    assert done["why"].startswith("Canary's 95th percentile is ")
    assert done["numbers"]["canary_p95_ms"] > 3 * done["numbers"]["stable_p95_ms"]


def test_too_few_requests_close_the_gate(model, monkeypatch):
    it = model().push("reviews", "equal")
    it.release(version=1)
    monkeypatch.setattr("sys.stdin", io.StringIO("good\nbad\n"))
    done = it.release(requests="-")
    assert (done["verdict"], done["why"]) == ("rolled_back", "2 requests were compared; at least 10 are wanted.")


def test_rollback_by_hand_under_load_fails_no_request(model):
    it = model().push("reviews", "equal")
    it.release(version=1)
    seen, failures, stop = [], [], threading.Event()

    def ask(label):
        with PredictionClient(it.server.target, it.config.name, label=label, retries=0) as client:
            while not stop.is_set():
                try:
                    seen.append((label, client.predict(["bad"])[0].version))
                except PredictionError as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask, args=(label,)) for label in ("stable", "stable", None)]
    for thread in threads:
        thread.start()
    try:
        assert it.release()["verdict"] == "promoted"
        wait_until(lambda: seen[-20:].count(("stable", 2)) > 3)
        done = it.rollback(why="Complaints.", who="bo@desk")
        assert (done["verdict"], done["version"], done["labels"]) == ("rolled_back", 2, {"stable": 1})
        assert done["seconds"] < 10
        wait_until(lambda: all(version == 1 for _, version in seen[-20:]))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert (it.changes()[0].why, it.changes()[0].who) == ("Complaints.", "bo@desk")
    with pytest.raises(ConfigError, match=r"No version is kept to go back to; name one by --to. There are: \[2\]."):
        it.rollback()
    assert it.rollback(to=2)["labels"] == {"stable": 2}
    assert it.label() == 2
    assert it.release()["verdict"] == "unchanged"


def test_a_command_killed_while_it_compares_is_taken_up_by_the_next_one(model):
    it = model().push("reviews", "equal")
    it.release(version=1)
    trying = it.command("release", "--requests", "-")  # and no row ever comes
    wait_until(lambda: it.answers_by("canary"), 90)
    trying.kill()
    trying.communicate()
    assert it.label(label="canary") == 2
    assert it.release()["verdict"] == "promoted"
    assert it.label() == 2


@pytest.mark.parametrize("change", [1, 2, 3])
def test_a_command_killed_between_two_steps_is_taken_up_by_the_next_one(model, rows, change):
    it = model().push("reviews", "equal")
    it.release(version=1)
    path = it.root / "serving" / "models.config"
    seen, failures, stop = {path.read_bytes()}, [], threading.Event()

    def ask():
        with PredictionClient(it.server.target, it.config.name, label="stable", retries=0) as client:
            while not stop.is_set():
                try:
                    client.predict(["bad"])
                except PredictionError as error:
                    failures.append(error)

    def changed():
        seen.add(path.read_bytes())
        return len(seen) > change

    asking = threading.Thread(target=ask)
    asking.start()
    trying = it.command("release", "--requests", rows)
    try:
        while not changed():
            assert trying.poll() is None
            time.sleep(0.002)
        trying.kill()  # the file says the next step; the servers may or may not have heard of it
        trying.communicate()
        assert it.release()["verdict"] in ("promoted", "unchanged")
        assert (it.label(), it.label(label="previous")) == (2, 1)
    finally:
        stop.set()
        asking.join()
    assert failures == []
    assert {each.state for each in it.changes()} <= {"done", "interrupted"}


def test_rollback_during_a_comparison_wins(model, rows):
    it = model().push("reviews", "equal")
    it.release(version=1)
    trying = it.command("release", "--requests", "-")
    wait_until(lambda: Release(it.config, it.workspace).labels == {"stable": 1, "canary": 2}, 90)
    assert it.rollback()["labels"] == {"stable": 1}
    out, err = trying.communicate("\n".join(["good"] * 20), timeout=60)
    result = json.loads(out)
    assert (trying.returncode, result["verdict"], result["labels"]) == (3, "rolled_back", {"stable": 1}), err
    assert it.label() == 1


@pytest.mark.parametrize("versions", [[1, 2], [2]])
def test_a_move_that_was_written_but_not_told_is_told_by_the_next_command(model, versions):
    it = model().push("reviews", "equal")
    it.release(version=1)
    file = Release(it.config, it.workspace)._rollout.file
    file.write(file.with_model(versions, {"stable": 2}))  # as a kill between the two leaves it
    assert it.label() == 1
    assert it.release()["verdict"] == "unchanged"
    assert it.label() == 2


def test_a_killed_server_comes_up_with_its_labels_and_takes_moves(exported, tmp_path, server):
    it = Model(server, exported, tmp_path, "mkilled").push("reviews", "equal")
    it.release(version=1)
    it.release()
    flags = release_commands.serving_flags(it.config, it.workspace)
    line = [f"--{name}={value}" for name, value in flags.items() if name != "model_base_path"]
    with ServerProcess("", None, *line) as killed:
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait(10)
    with ServerProcess("", None, *line) as other:
        there = Model(other, exported, tmp_path, "mkilled")
        wait_until(lambda: there.states() == {1: "AVAILABLE", 2: "AVAILABLE"})
        assert (there.label(), there.label(label="previous")) == (2, 1)
        assert there.rollback()["labels"] == {"stable": 1}
        assert (there.label(), it.label()) == (1, 2)  # two servers: only one of them was named


def test_servers_that_are_not_there_change_nothing_but_going_back_is_kept(model, capsys):
    it = model().push("reviews", "equal")
    it.release(version=1)
    away = model("release.servers=['127.0.0.1:9']")
    done = away.release()
    assert (done["verdict"], done["version"]) == ("failed", None)
    assert "The server 127.0.0.1:9 could not be told: UNAVAILABLE" in done["why"]
    assert Release(it.config, it.workspace).labels == {"stable": 1}
    assert it.release()["verdict"] == "promoted"
    assert away.rollback()["verdict"] == "failed"
    assert Release(it.config, it.workspace).labels == {"stable": 1}
    assert it.label() == 2  # nobody told it yet
    capsys.readouterr()
    release_commands.show(it.config, it.workspace, 1, as_json=True)
    assert json.loads(capsys.readouterr().out)["state"] == "failed"
    release_commands.show(it.config, it.workspace, 20, as_json=False)
    assert "127.0.0.1:9" not in capsys.readouterr().err


def test_the_commands_end_with_their_exit_codes(model, rows):
    it = model().push("reviews", "flipped")
    it.release(version=1)
    blocked = it.command("release", "--requests", rows)
    out, err = blocked.communicate(timeout=90)
    assert (blocked.returncode, json.loads(out)["verdict"]) == (3, "rolled_back"), err
    assert "✗ flip_rate" in err
    assert "labels: stable 1;" in err
    nothing = it.command("rollback")
    _, err = nothing.communicate(timeout=90)
    assert nothing.returncode == 2
    assert "No version is kept to go back to" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [("model_config_list {", "cannot be read: "), ("model_config_list { config { nam: 1 } }", 'no field named "nam"')],
)
def test_a_broken_model_config_file_is_told_and_left_alone(model, text, message):
    it = model().push("reviews")
    path = it.root / "serving" / "models.config"
    path.write_text(text, encoding="utf-8")
    done = it.release()
    assert done["verdict"] == "failed"
    assert message in done["why"]
    assert path.read_text(encoding="utf-8") == text


def test_other_models_of_the_file_are_left_as_they_are(model):
    it = model().push("reviews")
    other = it.root / "serving" / "other"
    shutil.copytree(it._exported / "numbers", other / "4")
    path = it.root / "serving" / "models.config"
    entry = f'config {{ name: "other" base_path: "{other}" model_platform: "tensorflow" '
    path.write_text(f"model_config_list {{ {entry} logging_config {{ sampling_config {{ sampling_rate: 0.5 }} }} }} }}")
    assert it.release()["verdict"] == "promoted"
    assert "sampling_rate: 0.5" in Path(path).read_text(encoding="utf-8")
    with PredictionClient(it.server.target, "other") as client:
        wait_until(lambda: client.versions() == {4: "AVAILABLE"})


def test_a_pipeline_without_labels_refuses(model):
    with pytest.raises(ConfigError, match="Releases want `push.label: canary`"):
        model("push.label=null").push("reviews").release()


def test_a_file_that_cannot_be_written_is_told(model):
    it = model().push("reviews")
    (it.root / "serving" / "models.config").mkdir()
    with pytest.raises(RolloutError, match="The model config file .* cannot be read"):
        Release(it.config, it.workspace).run()


def test_what_a_run_pushed_becomes_canary_where_servers_are(model):
    it = model().push("reviews")
    assert release_commands.push_canary(it.config, it.workspace, 1) == "Version 1 is stable on the servers."
    it.push("equal")
    assert release_commands.push_canary(it.config, it.workspace, 2) == "Version 2 is canary on the servers."
    assert (it.label(), it.label(label="canary")) == (1, 2)
    away = model("release.servers=['127.0.0.1:9']").push("equal")
    assert (
        "No label yet, `attention release` will give it: The server 127.0.0.1:9 could"
        in release_commands.push_canary(away.config, away.workspace, 3)
    )
    assert it.label(label="canary") == 2
