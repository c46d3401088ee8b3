"""A search finds what is better, is the same each time, and goes on after a kill."""

import logging
import os
import signal
import subprocess
import sys
import time

import keras_tuner
import pytest

from models.search_space import NumberRange, TuneOptions, tuned_values, value_at, with_values
from models.tuning.oracles import make_oracle
from tests.models.tuning.killed_search import SPEC, TUNE, loss_of, search

NOTICES = "attention.progress"


def trials_of(tuner):
    return [(trial.hyperparameters.values, trial.score) for trial in tuner.oracle.trials.values()]


def trained_in(directory):
    return (directory / "trained.txt").read_text().split()


def test_a_seed_is_a_search_and_the_best_of_it_is_given(tmp_path):
    tune = TUNE.model_copy(update={"strategy": "random", "trials": 9})
    found = []
    for number, seed in enumerate((0, 0, 1)):
        tuner = search(tmp_path, tune.model_copy(update={"seed": seed}), f"search {number}")
        tuner.search()
        found.append(trials_of(tuner))
    assert len(found[0]) == 9
    assert found[0] == found[1] != found[2]
    best = tuner.get_best_hyperparameters()[0].get_config()
    assert (tuned_values(best), best["search"]["score"]) == max(found[2], key=lambda trial: trial[1])
    assert best["search"]["objective"] == "accuracy"
    assert [trial["values"] for trial in best["search"]["trials"]] == [values for values, _ in found[2]]
    assert all(1e-4 <= values["train.learning_rate"] <= 0.4 for values, _ in found[2])


@pytest.mark.slow
def test_a_killed_search_goes_on_and_makes_no_trial_twice(tmp_path):
    command = [sys.executable, "-m", "tests.models.tuning.killed_search", str(tmp_path)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.getcwd()}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert trained_in(tmp_path) == ["trial_0", "trial_1", "trial_2"]
    resumed = search(tmp_path)
    resumed.search()
    assert trained_in(tmp_path) == [f"trial_{number}" for number in (0, 1, 2, 2, 3, 4, 5, 6)]
    (tmp_path / "other").mkdir()
    whole = search(tmp_path / "other")
    whole.search()
    assert trials_of(resumed) == trials_of(whole)
    more = search(tmp_path, TUNE.model_copy(update={"trials": 8}))
    more.search()
    assert trained_in(tmp_path)[8:] == ["trial_7"]
    assert trials_of(more)[:7] == trials_of(whole)


def test_hyperband_trains_few_values_long(tmp_path):
    epochs = []
    space = {"train.learning_rate": NumberRange(min=1e-4, max=1, scale="log"), "model.hidden_dim": [4, 8, 16, 32]}
    tune = TuneOptions(space=space, strategy="hyperband", trials=20, objective="loss")
    spec = SPEC.model_copy(update={"train": SPEC.train.model_copy(update={"epochs": 9})})
    tuner = search(tmp_path, tune, spec=spec, train=lambda trial: epochs.append(trial.train.epochs))
    tuner.search()
    assert epochs[:13] == [1] * 9 + [3] * 3 + [9]
    assert len(epochs) == 20
    scores = [score for _, score in trials_of(tuner) if score is not None]
    assert len(scores) < 20, "some failed, and lost their round"
    best = tuner.get_best_hyperparameters()[0].get_config()
    assert best["search"]["score"] == min(scores)
    assert best["search"]["trials"][12]["epochs"] == 9
    assert tuned_values(best).keys() == set(TUNE.space)


def test_a_failed_trial_is_told_and_counted(tmp_path, caplog):
    tune = TUNE.model_copy(
        update={"space": {"train.learning_rate": [1e-2, 0.9], "train.epochs": [2]}, "strategy": "random"}
    )
    tuner = search(tmp_path, tune)
    with caplog.at_level(logging.INFO, logger=NOTICES):
        tuner.search()
    assert "learning_rate 0.9, epochs 2: failed: `accuracy` must be finite. Received: nan" in caplog.text
    record = tuner.get_best_hyperparameters()[0].get_config()["search"]
    states = {trial["values"]["train.learning_rate"]: trial["state"] for trial in record["trials"]}
    assert states == {1e-2: "done", 0.9: "failed"}  # no more values, no more trials
    (why,) = [trial["why"] for trial in record["trials"] if trial["state"] == "failed"]
    assert why == "`accuracy` must be finite. Received: nan"
    other = search(tmp_path, tune.model_copy(update={"space": {"train.learning_rate": [0.8, 0.9]}}), "hopeless")
    with pytest.raises(RuntimeError, match="None of the 2 trials came to a result; give `tune.space` other bounds"):
        other.search()


def test_a_fault_ends_the_search_and_its_trial_is_made_again(tmp_path):
    def fail(spec):
        raise KeyError("a fault of the code")

    with pytest.raises(Exception, match="a fault of the code"):
        search(tmp_path, train=fail).search()
    tuner = search(tmp_path, TUNE.model_copy(update={"trials": 1}))
    tuner.search()
    assert trained_in(tmp_path) == ["trial_0", "trial_0"]
    values = tuner.oracle.trials["0"].hyperparameters.values
    assert tuner.oracle.trials["0"].score == pytest.approx(1 / (1 + loss_of(with_values(SPEC, values))))


def test_no_trial_begins_when_the_time_is_over_which_a_kill_does_not_give_back(tmp_path):
    tune = TUNE.model_copy(update={"minutes": 0.3 / 60, "trials": 50})
    tuner = search(tmp_path, tune, train=lambda spec: time.sleep(0.2))
    tuner.search()
    made = len(trained_in(tmp_path))
    assert 1 <= made <= 2
    search(tmp_path, tune).search()
    assert len(trained_in(tmp_path)) == made
    search(tmp_path, tune.model_copy(update={"minutes": None, "trials": made + 1})).search()
    assert len(trained_in(tmp_path)) == made + 1


def test_each_value_is_of_its_options_own_type_and_within_its_bounds():
    space = {
        "train.epochs": {"min": 1, "max": 9, "scale": "log"},
        "train.batch_size": {"min": 16, "max": 64, "step": 16},
        "train.learning_rate": ["1e-4", 1],
        "train.clip_norm": {"min": 1, "max": 2, "step": 0.5},
        "train.mixed_precision": [True, False],
        "train.jit_compile": [True],
        "train.optimizer": ["adam", "sgd"],
    }
    oracle = make_oracle(SPEC, TuneOptions(space=space), keras_tuner.Objective("val_accuracy", "max"))
    assert {each.name for each in oracle.get_space().space} == set(space)
    seen = [oracle.populate_space(str(number))["values"] for number in range(30)]
    for path in space:
        values = {value[path] for value in seen}
        assert {type(value) for value in values} == {type(value_at(SPEC, path))}
    assert {value["train.epochs"] for value in seen} <= set(range(1, 10))
    assert {value["train.batch_size"] for value in seen} == {16, 32, 48, 64}
    assert {value["train.clip_norm"] for value in seen} == {1.0, 1.5, 2.0}
    assert {value["train.learning_rate"] for value in seen} == {1e-4, 1.0}
    assert {value["train.mixed_precision"] for value in seen} == {True, False}


def test_the_same_values_are_trained_once(tmp_path):
    tune = TUNE.model_copy(update={"space": {"model.hidden_dim": [32, 64]}, "trials": 4})
    tuner = search(tmp_path, tune)
    tuner.search()
    values = {tuple(values.items()) for values, _ in trials_of(tuner)}
    assert len(trained_in(tmp_path)) == len(values) == 2
