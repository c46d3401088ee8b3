"""New labelled files are judged once each; the gates are given, all else is real."""

import pytest

from components.example_gen.errors import InputDataError
from components.gates import Gate

BELOW = Gate("metric/accuracy", False, 0.41, 0.6, "accuracy is 0.4100; at least 0.6000 is asked for.")


class Judge:
    """Gives the gates of the next files.

    Attributes:
        asked: (version, file) so far.
        results: of the next files: gates, or what is raised. After the last: one gate that passed.
    """

    def __init__(self):
        self.asked, self.results = [], []

    def __call__(self, config, model_dir, table):
        self.asked.append((model_dir.name, table.name))
        result = self.results.pop(0) if self.results else [Gate("metric/accuracy", True, 0.9, 0.6, "fine")]
        if isinstance(result, BaseException):
            raise result
        return result


@pytest.fixture
def judge():
    return Judge()


@pytest.fixture
def labelled(scheduled, judge):
    """The pipeline that waits for labelled files and whose version 3 is live."""
    scheduled.judge = judge
    scheduled.write()
    scheduled.set(f"schedule={{fresh_labels: {{data: '{scheduled.folder}/fresh/*.csv'}}, settle_seconds: 60}}")
    (scheduled.workspace.serving("mood") / "3").mkdir(parents=True)
    (scheduled.workspace.serving("mood") / "3" / "saved_model.pb").touch()
    return scheduled


def test_a_file_is_judged_once_when_it_has_settled(labelled, judge):
    assert labelled.verdict() == "not_due", "no file yet"
    labelled.write("fresh/a.csv")
    assert labelled.once()["next"] == "2026-01-01T00:01:00+00:00"
    assert judge.asked == []
    labelled.forward(seconds=60)
    for _ in range(2):
        assert labelled.verdict() == "not_due"
    assert judge.asked == [("3", "a.csv")]
    (found,) = labelled.state.judged.values()
    assert (found.outcome, found.version, found.why) == ("passed", 3, "1 gates, none blocks.")
    labelled.write("fresh/a.csv", rows=11)
    labelled.forward(seconds=60)
    labelled.once()
    assert judge.asked == [("3", "a.csv")] * 2, "it is another file now"


def test_a_gate_that_blocks_makes_one_run_due(labelled, judge, capsys):
    labelled.write("fresh/a.csv")
    labelled.write("fresh/b.csv")
    labelled.forward(seconds=60)
    judge.results = [[Gate("flips", False, 1.0, 0.1, "many", "warn"), BELOW]]
    done = labelled.once()
    assert (done["verdict"], done["triggers"]) == ("pushed", ["fresh_labels"])
    assert f"schedule: due by fresh_labels: {labelled.folder}/fresh/a.csv: gate metric/accuracy: {BELOW.why}" in (
        capsys.readouterr().err
    )
    assert judge.asked == [("3", "a.csv")]
    (labelled.workspace.serving("mood") / "4").mkdir()
    (labelled.workspace.serving("mood") / "4" / "saved_model.pb").touch()
    assert labelled.verdict() == "not_due"
    assert judge.asked[1:] == [("4", "b.csv")], "what came then is for the version that followed"
    assert labelled.verdict() == "not_due"


def test_a_broken_file_is_told_kept_and_left_alone(labelled, judge, capsys):
    path = labelled.write("fresh/a.csv")
    labelled.forward(seconds=60)
    judge.results = [InputDataError("It has no column `mood`.")]
    for _ in range(3):
        assert labelled.verdict() == "not_due"
    assert judge.asked == [("3", "a.csv")]
    told = [line for line in capsys.readouterr().err.splitlines() if "a.csv" in line]
    assert told == [
        f"schedule: fresh_labels: {path} cannot be judged and is left alone until it changes: It has no column `mood`."
    ]
    assert path.exists()
    assert labelled.state.judged[str(path)].outcome == "broken"


def test_a_file_over_which_the_process_dies_is_not_tried_for_ever(labelled, judge):
    labelled.write("fresh/a.csv")
    labelled.forward(seconds=60)
    judge.results = [SystemExit() for _ in range(9)]
    for _ in range(3):
        with pytest.raises(SystemExit):
            labelled.once()
    assert labelled.verdict() == "not_due"
    assert len(judge.asked) == 3


def test_a_kill_between_the_judgement_and_the_run_loses_nothing(labelled, judge):
    labelled.write("fresh/a.csv")
    labelled.forward(seconds=60)
    judge.results, labelled.verdicts = [[BELOW]], [SystemExit()]
    with pytest.raises(SystemExit):
        labelled.once()
    labelled.workspace.root.joinpath("schedule.json").write_text(
        labelled.state.but(
            pending=None,  # as it was before the run was written down
            judged={path: each.model_copy(update={"answered": False}) for path, each in labelled.state.judged.items()},
        ).model_dump_json()
    )
    assert labelled.once()["triggers"] == ["fresh_labels"]
    assert len(judge.asked) == 1
    assert labelled.verdict() == "not_due"


def test_without_a_live_version_files_wait(labelled, judge):
    (labelled.workspace.serving("mood") / "3" / "saved_model.pb").unlink()
    labelled.write("fresh/a.csv")
    labelled.forward(seconds=60)
    assert labelled.verdict() == "not_due"
    assert (judge.asked, labelled.state.judged) == ([], {})


def test_what_is_gone_is_forgotten(labelled, judge):
    labelled.write("fresh/a.csv").unlink()
    first = labelled.write("fresh/b.csv")
    labelled.forward(seconds=60)
    labelled.once()
    first.unlink()
    second = labelled.write("fresh/c.csv")
    labelled.forward(seconds=60)
    labelled.once()
    assert list(labelled.state.judged) == [str(second)]
