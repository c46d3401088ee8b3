"""Where a training stands, on disk, so that one that was killed goes on as if nothing had been."""

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_FILE, _BEST = "checkpoint.npz", "best_{}.npz"


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
        self._directory = directory
        self._path = os.path.join(directory, _FILE)
        self._writes = writes
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
        """Closes an epoch; keeps its weights, on disk, if it is the best yet.

        Args:
            logs: its loss and metrics.
        """
        self.curve.append(logs)
        self.epoch += 1
        self.step = 0
        if self._writes and self.best_epoch == self.epoch - 1:
            _save(self._best_file(), {"weight": self._model.weights})

    def take_best_weights(self) -> None:
        """Gives the model the weights of its best epoch, in the process that writes."""
        if self._writes and self.best_epoch != self.epoch - 1:
            with _load(self._best_file()) as arrays:
                _assign(self._model.weights, _group(arrays, "weight"))

    def save(self) -> None:
        """Writes the checkpoint; a kill at any time leaves the last complete one."""
        metrics = [np.asarray(variable) for variable in self._model.metrics_variables]
        if not self._writes:  # the metrics are a sum over all processes, so each has to ask for them
            return
        progress = np.array(json.dumps({"epoch": self.epoch, "step": self.step, "curve": self.curve}))
        _save(self._path, {**self._variables(), "metric": metrics, "progress": [progress]})
        best = self._best_file() if self.curve else ""
        for path in tf.io.gfile.glob(os.path.join(self._directory, _BEST.format("*"))):
            if path != best:
                tf.io.gfile.remove(path)

    def restore(self) -> bool:
        """Takes up the checkpoint, if there is one.

        Returns:
            whether there is one.
        """
        if not tf.io.gfile.exists(self._path):
            return False
        with _load(self._path) as arrays:
            for name, variables in self._variables().items():
                _assign(variables, _group(arrays, name))
            self._metrics = list(_group(arrays, "metric"))
            progress = json.loads(str(arrays["progress_0"]))
        self.epoch, self.step, self.curve = progress["epoch"], progress["step"], progress["curve"]
        return True

    def resume_metrics(self) -> None:
        """Takes up the running metrics of an epoch that was cut short; to be called after Keras has reset them."""
        if self.step:
            _assign(self._model.metrics_variables, self._metrics)

    def _variables(self) -> dict[str, list[keras.Variable]]:
        return {"variable": self._model.variables, "optimizer": self._model.optimizer.variables}

    def _best_file(self) -> str:
        return os.path.join(self._directory, _BEST.format(self.best_epoch))


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


def _save(path: str, groups: Mapping[str, Iterable[Any]]) -> None:
    """As `np.savez` does, which holds all arrays at once; what stands at `path` is whole at any time."""
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(f"{path}.tmp", "wb") as file, zipfile.ZipFile(_Stream(file), "w") as archive:
        for name, arrays in groups.items():
            for i, array in enumerate(arrays):
                with archive.open(f"{name}_{i}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
    tf.io.gfile.rename(f"{path}.tmp", path, overwrite=True)


@contextlib.contextmanager
def _load(path: str) -> Iterator[Any]:
    with tf.io.gfile.GFile(path, "rb") as file:
        yield np.load(file)


def _group(arrays: Any, name: str) -> Iterator[np.ndarray]:
    """One at a time, as they are asked for."""
    count = sum(key.rpartition("_")[0] == name for key in arrays.files)
    return (arrays[f"{name}_{i}"] for i in range(count))


def _assign(variables: Iterable[keras.Variable], arrays: Iterable[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
