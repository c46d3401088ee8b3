"""What happens beside the steps of a training: progress, checkpoints, and a stop when the loss is no number."""

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import keras

from models.training.state import TrainingState

_progress = logging.getLogger("attention.progress")

_SECONDS_BETWEEN_REPORTS = 0.5


class ReportProgress(keras.callbacks.Callback):
    """Logs epoch, step, loss, metrics and time left: each half second, and at the end of each epoch.

    Args:
        state: where the training stands.
        epochs: epochs of the whole training.
        steps: steps of an epoch.
    """

    def __init__(self, state: TrainingState, epochs: int, steps: int):
        super().__init__()
        self._state = state
        self._epochs = epochs
        self._steps = steps
        self._reported = 0.0
        self._began: float | None = None
        self._first = 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        now = time.monotonic()
        if self._began is None:  # the first step also builds the graph and says nothing of the others
            self._began, self._first = now, self._done
            return
        if now - self._reported >= _SECONDS_BETWEEN_REPORTS or self._state.step == self._steps:
            self._reported = now
            self._report(now - self._began, {name: float(value) for name, value in (logs or {}).items()})

    @property
    def _done(self) -> int:
        return self._state.epoch * self._steps + self._state.step

    def _report(self, seconds: float, metrics: dict[str, float]) -> None:
        seconds_left = seconds / (self._done - self._first) * (self._epochs * self._steps - self._done)
        progress = {
            "epoch": self._state.epoch + 1,
            "epochs": self._epochs,
            "step": self._state.step,
            "steps": self._steps,
            "loss": metrics.pop("loss"),
            "metrics": metrics,
            "seconds_left": seconds_left,
        }
        shown = ", ".join(f"{name} {value:.4f}" for name, value in {"loss": progress["loss"], **metrics}.items())
        _progress.info(
            "epoch %d/%d, step %d/%d, %s, %.0f s left",
            *(progress[key] for key in ("epoch", "epochs", "step", "steps")),
            shown,
            seconds_left,
            extra={"progress": progress},
        )


class KeepState(keras.callbacks.Callback):
    """Counts the steps and saves the state of the training while an epoch runs.

    Args:
        state: where the training stands.
        steps: steps of an epoch.
        every_steps: steps between two checkpoints.
    """

    def __init__(self, state: TrainingState, steps: int, every_steps: int):
        super().__init__()
        self._state = state
        self._steps = steps
        self._every_steps = every_steps

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._state.resume_metrics()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._state.step += 1
        # After its last step an epoch is still to be evaluated; the checkpoint is made after that.
        if self._state.step % self._every_steps == 0 and self._state.step < self._steps:
            self._state.save()


class StopWithoutLoss(keras.callbacks.Callback):
    """Ends the training with an error once the loss is not finite.

    Args:
        learning_rate: named in the message.
    """

    def __init__(self, learning_rate: float):
        super().__init__()
        self._learning_rate = learning_rate

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The training loss must stay finite; lower `train.learning_rate` or `train.clip_norm`. "
                f"Received: loss={loss} at step {batch + 1}, train.learning_rate={self._learning_rate}"
            )
