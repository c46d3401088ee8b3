"""Run in a process of its own: a search over a formula, killed as it computes its third trial for the first time."""

import math
import os
import signal
import sys
from pathlib import Path

from models.search_space import TuneOptions
from models.spec import ModelSpec, TextFeature
from models.tuning.search import Search

SPEC = ModelSpec(name="mood", features={"review": TextFeature()})
TUNE = TuneOptions(
    space={
        "train.learning_rate": {"min": 1e-4, "max": 0.4, "scale": "log"},
        "model.hidden_dim": [4, 8, 16, 32, 64],
    },
    trials=7,
)


def loss_of(spec: ModelSpec) -> float:
    """Least at a learning rate of 0.01 and 32 units; not a number where the rate is above a half."""
    rate = spec.train.learning_rate
    return abs(math.log10(rate / 0.01)) + abs(spec.model.hidden_dim - 32) / 32 if rate <= 0.5 else math.nan


def search(
    directory: str, tune: TuneOptions = TUNE, name: str = "search", spec: ModelSpec = SPEC, train=None
) -> Search:
    """A search that writes each training down in `trained.txt`."""

    def train_trial(trial_spec: ModelSpec, log_dir: str, checkpoint_dir: str) -> dict[str, float]:
        with open(Path(directory, "trained.txt"), "a", encoding="utf-8") as file:
            file.write(f"{Path(log_dir).name}\n")
        if train is not None:
            train(trial_spec)
        loss = loss_of(trial_spec)
        return {"val_loss": loss, "val_accuracy": 1 / (1 + loss)}

    return Search(spec, tune, train_trial, directory, name)


if __name__ == "__main__":
    trained = []

    def kill_at_the_third(spec: ModelSpec) -> None:
        trained.append(spec)
        if len(trained) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    search(sys.argv[1], train=kill_at_the_third).search()
