"""Where a training stands, on disk, so that one that was killed goes on as if nothing had been."""

import io
import json
import os
import zipfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_FILE = "state.npz"


class TrainingState:
    """Weights, optimizer, random seeds, running metrics, and the curve so far.

    Args:
        model: compiled, its optimizer built.
        directory: holds the checkpoint; belongs to this very training alone.
        writes: whether this process does; of several that train together one does.
    """

    def __init__(self, model: keras.Model, directory: str, writes: bool = True):
        self.epoch = 0
        """Complete epochs."""
        self.step = 0
        """Complete steps of the running epoch."""
        self.curve: list[dict[str, float]] = []
        """Loss and metrics of each complete epoch."""
        self._model = model
        self._path = os.path.join(directory, _FILE)
        self._writes = writes
        self._best_weights: list[np.ndarray] = []
        self._metrics: list[np.ndarray] = []

    @property
    def best_epoch(self) -> int:
        """The complete epoch of the highest eval accuracy, of equal ones that of the lowest loss, counted from 0.

        Accuracy is what the gates ask for, and it often rises for some epochs after the loss has turned. Where there is
        no single accuracy (several heads, many labels, a number), the loss alone decides.
        """
        marks = [(-logs.get("val_accuracy", 0.0), logs["val_loss"]) for logs in self.curve]
        return marks.index(min(marks))

    def end_epoch(self, logs: dict[str, float]) -> None:
        """Closes an epoch; keeps its weights if it is the best yet.

        Args:
            logs: its loss and metrics.
        """
        self.curve.append(logs)
        self.epoch += 1
        self.step = 0
        if self.best_epoch == self.epoch - 1:
            self._best_weights = [weight.copy() for weight in self._model.get_weights()]

    def take_best_weights(self) -> None:
        """Gives the model the weights of its best epoch."""
        self._model.set_weights(self._best_weights)

    def save(self) -> None:
        """Writes the checkpoint; a kill at any time leaves the last complete one."""
        metrics = [np.asarray(variable) for variable in self._model.metrics_variables]
        if not self._writes:  # the metrics are a sum over all processes, so each has to ask for them
            return
        groups = {**self._variables(), "metric": metrics, "best": self._best_weights}
        progress = json.dumps({"epoch": self.epoch, "step": self.step, "curve": self.curve})
        tf.io.gfile.makedirs(os.path.dirname(self._path))
        with tf.io.gfile.GFile(f"{self._path}.tmp", "wb") as file, zipfile.ZipFile(_Stream(file), "w") as archive:
            _write(archive, "progress", np.array(progress))
            for name, group in groups.items():
                for i, array in enumerate(group):
                    _write(archive, f"{name}_{i}", np.asarray(array))
        tf.io.gfile.rename(f"{self._path}.tmp", self._path, overwrite=True)

    def restore(self) -> bool:
        """Takes up the checkpoint, if there is one.

        Returns:
            whether there is one.
        """
        if not tf.io.gfile.exists(self._path):
            return False
        with tf.io.gfile.GFile(self._path, "rb") as file:
            arrays = np.load(io.BytesIO(file.read()))
        for name, variables in self._variables().items():
            for variable, array in zip(variables, _group(arrays, name), strict=True):
                variable.assign(array)
        self._metrics = _group(arrays, "metric")
        self._best_weights = _group(arrays, "best")
        progress = json.loads(str(arrays["progress"]))
        self.epoch, self.step, self.curve = progress["epoch"], progress["step"], progress["curve"]
        return True

    def resume_metrics(self) -> None:
        """Takes up the running metrics of an epoch that was cut short; to be called after Keras has reset them."""
        if self.step:
            for variable, array in zip(self._model.metrics_variables, self._metrics, strict=True):
                variable.assign(array)

    def _variables(self) -> dict[str, list[keras.Variable]]:
        return {"variable": self._model.variables, "optimizer": self._model.optimizer.variables}


class _Stream(io.RawIOBase):
    """A file of TensorFlow's as `zipfile` wants one: it cannot seek."""

    def __init__(self, file: tf.io.gfile.GFile):
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(bytes(data))
        return len(data)


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """As `np.savez` does, which holds all arrays at once."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def _group(arrays: Any, name: str) -> list[np.ndarray]:
    count = sum(key.rpartition("_")[0] == name for key in arrays.files)
    return [arrays[f"{name}_{i}"] for i in range(count)]
