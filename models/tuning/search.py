"""A search as KerasTuner makes it, whose trials are trainings of ours."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras_tuner
import tensorflow as tf
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError, FatalError

from models.search_space import SEARCH_KEY, TuneOptions, objective_of, shown, tuned_values, with_values
from models.spec import ModelSpec
from models.tuning.oracles import make_oracle, write_whole

_progress = logging.getLogger("attention.progress")

EPOCHS = "tuner/epochs"
"""Hyperband's own value: how long a trial trains. It trains afresh, for a rate falls over the whole of a training."""

TrainTrial = Callable[[ModelSpec, str, str], dict[str, float]]
"""Spec, folder for TensorBoard, folder for checkpoints → metrics of the best epoch, `val_` before those on eval."""


class Found(keras_tuner.HyperParameters):
    """The best values; their file tells beside them how they were found."""

    search: dict[str, Any]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), SEARCH_KEY: self.search}


class Search(BaseTuner):
    """Tries values until its trials, its time or its space are at an end.

    Args:
        spec: what is trained, with the config's own values.
        tune: what is searched.
        train_trial: makes one training.
        directory: outlives the run.
        name: of this very search; one of the same name that was cut off goes on.
    """

    def __init__(self, spec: ModelSpec, tune: TuneOptions, train_trial: TrainTrial, directory: str, name: str):
        self._spec, self._tune, self._train = spec, tune, train_trial
        self._metric, direction = objective_of(tune, spec)
        objective = keras_tuner.Objective(f"val_{self._metric}", direction)
        super().__init__(make_oracle(spec, tune, objective), directory=directory, project_name=name)

    def on_search_begin(self) -> None:
        self.save()
        if self.oracle.trials:
            ended = sum(trial.status != TrialStatus.RUNNING for trial in self.oracle.trials.values())
            _progress.info("The search goes on; %d of its trials have ended", ended)

    def save(self) -> None:
        self.oracle.save()
        write_whole(self._get_tuner_fname(), self.get_state())

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Trains once.

        Raises:
            FailedTrialError: this trial came to nothing, and the search goes on.
            FatalError: something else went wrong, which ends the search; the trial is made again when it goes on.
        """
        values = trial.hyperparameters.values
        spec = with_values(self._spec, tuned_values({"values": values}))
        if EPOCHS in values:
            spec = with_values(spec, {"train.epochs": values[EPOCHS]})
        directory = self.get_trial_dir(trial.trial_id)
        checkpoint_dir = os.path.join(directory, "checkpoint")
        began = time.monotonic()
        try:
            with _told_as(f"trial {self._number(trial)}"):
                metrics = self._known(trial) or self._train(spec, directory, checkpoint_dir)
            score = metrics[self.oracle.objective.name]
            if not math.isfinite(score):
                raise FloatingPointError(f"`{self._metric}` must be finite. Received: {score}")
        except (FloatingPointError, MemoryError) as error:
            self._tell(trial, f"failed: {error}")
            raise FailedTrialError(str(error)) from error
        except Exception as error:
            raise FatalError(str(error)) from error
        finally:
            self.oracle.spent_seconds += time.monotonic() - began
        self._tell(trial, f"{self._metric} {score:.4f}")
        return metrics

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        checkpoint_dir = os.path.join(self.get_trial_dir(trial.trial_id), "checkpoint")
        if tf.io.gfile.exists(checkpoint_dir):
            tf.io.gfile.rmtree(checkpoint_dir)

    def on_search_end(self) -> None:
        trials = list(self.oracle.trials.values())
        if not any(trial.status == TrialStatus.COMPLETED for trial in trials):
            raise RuntimeError(
                f"None of the {len(trials)} trials came to a result; give `tune.space` other bounds. The last one: "
                f"{_reason(trials[-1])}"
            )

    def search_space_summary(self, extended: bool = False) -> None:
        """Prints nothing: the config tells it."""

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints nothing: each trial was told when it ended."""

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[Found]:
        best = []
        for trial in self.oracle.get_best_trials(num_trials):
            found = Found.from_config(trial.hyperparameters.get_config())
            found.search = {
                "objective": self._metric,
                "score": trial.score,
                "space": self._tune.model_dump(mode="json")["space"],
                "trials": [_record(each) for each in self.oracle.trials.values()],
            }
            best.append(found)
        return best

    def _known(self, trial: Any) -> dict[str, float] | None:
        """What the very same values gave before: a training is the same each time, so it is not made again."""
        for other in self.oracle.trials.values():
            if other.status == TrialStatus.COMPLETED and other.hyperparameters.values == trial.hyperparameters.values:
                return {name: history.get_last_value() for name, history in other.metrics.metrics.items()}
        return None

    def _number(self, trial: Any) -> str:
        return f"{int(trial.trial_id) + 1}/{self._tune.trials}"

    def _tell(self, trial: Any, outcome: str) -> None:
        values = trial.hyperparameters.values
        epochs = [f"{values[EPOCHS]} epochs"] if EPOCHS in values else []
        given = ", ".join([shown(tuned_values({"values": values})), *epochs])
        _progress.info("trial %s, %s: %s", self._number(trial), given, outcome)


def _record(trial: Any) -> dict[str, Any]:
    done = trial.status == TrialStatus.COMPLETED
    return {
        "trial": int(trial.trial_id) + 1,
        "state": "done" if done else "failed",
        "score": trial.score if done else None,
        "values": tuned_values({"values": trial.hyperparameters.values}),
        "epochs": trial.hyperparameters.values.get(EPOCHS),
        "why": "" if done else _reason(trial),
    }


def _reason(trial: Any) -> str:
    """KerasTuner keeps the whole traceback."""
    return (trial.message or "").strip().splitlines()[-1].partition(": ")[2] if trial.message else ""


@contextmanager
def _told_as(name: str) -> Iterator[None]:
    """Marks the progress of the training inside as that of a trial."""

    def mark(record: logging.LogRecord) -> bool:
        if hasattr(record, "progress"):
            record.progress["trial"] = name
        return True

    _progress.addFilter(mark)
    try:
        yield
    finally:
        _progress.removeFilter(mark)
