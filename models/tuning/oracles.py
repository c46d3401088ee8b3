"""KerasTuner's strategies, made to outlive a kill and to end when their time is over."""

import json
from typing import Any

import keras_tuner
import numpy as np
import tensorflow as tf
from keras_tuner import oracles
from keras_tuner.engine.trial import TrialStatus

from models.search_space import NumberRange, TuneOptions, value_at, with_values
from models.spec import ModelSpec


def make_oracle(spec: ModelSpec, tune: TuneOptions, objective: keras_tuner.Objective) -> keras_tuner.Oracle:
    """The strategy that the options name, over their space.

    Args:
        spec: says of what type each option is; hyperband trains up to its epochs.
        tune: the search.
        objective: what it is judged by.
    """
    arguments: dict[str, Any] = {
        "objective": objective,
        "seed": tune.seed + 1,  # to KerasTuner 0 is no seed
        "hyperparameters": make_space(spec, tune),
        "max_consecutive_failed_trials": tune.trials + 1,  # failures are counted, and end nothing
    }
    oracle: Any
    if tune.strategy == "hyperband":
        oracle = Hyperband(max_epochs=spec.train.epochs, **arguments)
        oracle.max_trials = tune.trials
    else:
        strategy = Bayesian if tune.strategy == "bayesian" else Random
        oracle = strategy(max_trials=tune.trials, **arguments)
    oracle.seconds = 60 * tune.minutes if tune.minutes else float("inf")
    oracle.verbose = 0
    return oracle


def make_space(spec: ModelSpec, tune: TuneOptions) -> keras_tuner.HyperParameters:
    """The space as KerasTuner has it; each value is of its option's own type."""
    space = keras_tuner.HyperParameters()
    for path, dimension in tune.space.items():
        given = [dimension.min, dimension.max] if isinstance(dimension, NumberRange) else dimension
        values = [value_at(with_values(spec, {path: value}), path) for value in given]
        if isinstance(dimension, NumberRange):
            make = space.Int if isinstance(values[0], int) else space.Float
            make(path, *values, step=dimension.step, sampling=dimension.scale)
        elif len(values) == 1:
            space.Fixed(path, values[0])
        elif isinstance(values[0], bool):  # which a Choice would make 0 and 1
            space.Boolean(path)
        else:
            space.Choice(path, values)
    return space


class _Lasting(keras_tuner.Oracle):
    """What every strategy gets on top; its trials' own files say where the search stands."""

    seconds = float("inf")
    """After so many seconds of trials no new one begins."""
    trials: dict[str, Any]

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self.spent_seconds = 0.0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.spent_seconds >= self.seconds:
            return {"status": TrialStatus.STOPPED}
        answer = super().populate_space(trial_id)
        for each in self.hyperparameters.space:
            if answer.get("values") and isinstance(each, keras_tuner.engine.hyperparameters.Int):
                # On a log scale KerasTuner gives the upper end's successor to whom asks for the very end.
                answer["values"][each.name] = min(answer["values"][each.name], each.max_value)
        return answer

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "spent_seconds": self.spent_seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.spent_seconds = state["spent_seconds"]

    def save(self) -> None:
        write_whole(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        write_whole(f"{self._get_trial_dir(trial.trial_id)}/trial.json", trial.get_state())

    def reload(self) -> None:
        """Takes up the trials; those that were begun and not ended are to be made again, all others never."""
        super().reload()
        self.trials = dict(sorted(self.trials.items(), key=lambda item: int(item[0])))
        for trial in self.trials.values():
            self._record_values(trial)
        self._retry_queue = [name for name, trial in self.trials.items() if trial.status == TrialStatus.RUNNING]


class Random(_Lasting, oracles.RandomSearchOracle):
    pass


class Hyperband(_Lasting, oracles.HyperbandOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        # KerasTuner waits for a failed trial for ever; here it has lost its round.
        failed = [trial for trial in self.trials.values() if trial.status == TrialStatus.FAILED]
        for trial in failed:
            trial.status = TrialStatus.COMPLETED
            trial.score = float("-inf") if self.objective.direction == "max" else float("inf")
        try:
            return super().populate_space(trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = TrialStatus.FAILED, None


class Bayesian(_Lasting, oracles.BayesianOptimizationOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        # KerasTuner does not save the state of this generator.
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        return super().populate_space(trial_id)


def write_whole(path: str, state: dict[str, Any]) -> None:
    """Writes a JSON file; a kill leaves the one before, where KerasTuner would leave a half."""
    with tf.io.gfile.GFile(f"{path}.tmp", "w") as file:
        file.write(json.dumps(state))
    tf.io.gfile.rename(f"{path}.tmp", path, overwrite=True)
