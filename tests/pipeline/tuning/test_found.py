"""Which of the earlier searches counts."""

import json
from types import SimpleNamespace

import pytest

from models.search_space import TuneOptions
from pipeline.tuning import found

SPACE = {"train.learning_rate": {"min": "1e-4", "max": 0.005, "scale": "log"}, "model.hidden_dim": [32, 64]}


@pytest.fixture
def history(tmp_path):
    """Searches by name, the newest first; the list is given to be filled."""
    made = []

    def add(name, space, rate):
        search = {
            "objective": "accuracy",
            "score": 0.91,
            "space": TuneOptions(space=space).model_dump(mode="json")["space"],
            "trials": [{"state": "done"}, {"state": "failed"}],
        }
        values = {"train.learning_rate": rate, "model.hidden_dim": 64, "tuner/epochs": 3}
        folder = tmp_path / name
        folder.mkdir()
        (folder / found.FILE).write_text(json.dumps({"space": [], "values": values, "search": search}))
        made.insert(0, str(folder))
        return str(folder)

    return SimpleNamespace(outputs=lambda names: made, add=add, made=made)


def test_the_newest_of_the_same_space_counts(history):
    tune = TuneOptions(space=SPACE, trials=3, strategy="random")
    assert found.newest(history, tune) == (
        "",
        "`tune`: nothing was searched yet, so the config's own values count until --tune",
    )
    history.made.append("/nowhere")
    history.add("first", SPACE, 0.001)
    second = history.add("second", SPACE, 0.0021234)
    other = {**SPACE, "model.hidden_dim": [64]}
    history.add("third", other, 0.003)
    uri, line = found.newest(history, tune)
    assert uri == second
    assert line.endswith("of an earlier search count: learning_rate 0.002123, hidden_dim 64")
    uri, line = found.newest(history, TuneOptions(space={"train.epochs": [1, 2]}))
    assert uri == ""
    assert "is another than in earlier searches" in line


def test_a_search_is_told_in_one_line(history):
    search = found.read(history.add("first", SPACE, 0.001))
    assert search.text == "2 trials, 1 of them failed, best accuracy 0.9100 with learning_rate 0.001, hidden_dim 64"
