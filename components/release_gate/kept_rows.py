"""Frozen test sets: rows of the test split that a version keeps, so that later versions can be asked about them.

They lie in the version's `assets.extra/release/kept`: `kept.json` lists the sets, and each has a file of gzipped
TFRecords of tf.Example. A version carries the sets of the one before it on, and adds one of its own run.
"""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from components.data_gate.table import read_table, row_keys
from components.pusher.versions import KEPT_DIR, RELEASE_DIR
from components.release_gate.options import ForgettingGate, HeadOptions
from components.release_gate.robustness import right
from components.release_gate.sample import Answers, Model, Sample, read_sample

LIST_FILE = "kept.json"
_STORED = ("name", "order", "fingerprint", "first", "trained")


@dataclass(frozen=True)
class Keep:
    """Where the rows of this run come from.

    Attributes:
        source: the newest file of the test split.
        run: its name.
        fingerprint: of all files that the run read; rows of the same files are kept once.
    """

    source: str
    run: str = ""
    fingerprint: str = ""

    def name(self, taken: Collection[str]) -> str:
        """What the set is called: the file or, where another set has its name, the file and the run."""
        path = Path(self.source)
        name = path.name if any(map(str.isdigit, path.stem)) else "/".join(path.parts[-2:]).lstrip("/")
        name = name or "the test split"
        return name if name not in taken else f"{name} of {self.run or len(taken) + 1}"


@dataclass(frozen=True)
class KeptSet:
    """One frozen test set, as a version carries it.

    Attributes:
        name: the file and, if need be, the run that it comes from.
        order: 1 for the first that was ever kept, and so on.
        fingerprint: of the files that the run had read.
        first: head → of each row, as it stands in the file, the score of the answer while the row was new.
        trained: places of the rows that the version that carries the set was trained on.
        path: the file.
        sample: its rows.
    """

    name: str
    order: int
    fingerprint: str
    first: dict[str, list[float]]
    trained: list[int]
    path: Path
    sample: Sample

    def first_scores(self, head: str) -> np.ndarray:
        """Float `(rows,)` in the sample's order; NaN where the head was not there yet."""
        return np.array(self.first.get(head, [np.nan] * self.sample.num_rows), float)[self.sample.places]

    @property
    def was_trained_on(self) -> np.ndarray:
        """Bool `(rows,)` in the sample's order."""
        return np.isin(self.sample.places, self.trained)


class TrainSplit:
    """Tells which rows stand in a train split: equal is what says the same in all that the model reads."""

    def __init__(self, files: Sequence[str], features: Mapping[str, str]):
        self._types = {name: kind for name, kind in features.items() if kind != "passthrough"}
        table = read_table(list(files), self._types)
        self._keys = row_keys(table, self._types)
        self.is_whole = table.whole

    def holds(self, sample: Sample) -> np.ndarray:
        """Bool `(rows,)`."""
        return pc.is_in(row_keys(sample.table, self._types), self._keys).to_numpy(zero_copy_only=False)


def read_kept(model_dir: Path, features: Mapping[str, str], heads: Mapping[str, HeadOptions]) -> list[KeptSet]:
    """The sets that a version carries, oldest first; none where it carries none.

    Args:
        model_dir: of the version.
        features: name → type; what the rows lack is missing.
        heads: name → its options.
    """
    folder = model_dir / RELEASE_DIR / KEPT_DIR
    if not (folder / LIST_FILE).exists():
        return []
    kept = []
    for each in json.loads((folder / LIST_FILE).read_text(encoding="utf-8")):
        path = folder / _file_name(each["order"])
        number = len(next(iter(each["first"].values())))
        kept.append(KeptSet(**each, path=path, sample=read_sample([str(path)], features, heads, number)))
    return kept


def scores(sample: Sample, head: str, answers: Answers) -> np.ndarray:
    """Float `(rows,)`: 1 where the label is right, 0 where not; of several classes the share of verdicts that are; of a
    number less the error over the labels' standard deviation."""
    value = right(sample, head, answers)
    return -value / (float(np.nanstd(np.array(sample.labels[head], float))) or 1.0) if answers.is_number else value


def keep_rows(
    directory: Path,
    model: Model,
    test_files: Sequence[str],
    carried: Sequence[KeptSet],
    train: TrainSplit,
    keep: Keep,
    features: Mapping[str, str],
    heads: Mapping[str, HeadOptions],
    options: ForgettingGate,
) -> None:
    """Writes the folder `kept` that goes with the candidate, if it is pushed.

    Args:
        directory: gets the folder.
        model: the candidate.
        test_files: of its run.
        carried: the sets of the version before.
        train: the candidate's.
        keep: where the new set comes from; none is made where a carried one comes from the same files.
        features: name → type.
        heads: name → its options.
        options: how many rows and sets.

    Raises:
        QuestionError: the model does not answer.
    """
    folder = directory / KEPT_DIR
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sets = [replace(each, trained=_places(each.sample, train)) for each in carried]
    if not any(each.fingerprint == keep.fingerprint != "" for each in sets):
        sample = read_sample(list(test_files), features, heads, options.rows, known=[each.sample for each in sets])
        if sample.num_rows:
            order = max((each.order for each in sets), default=0) + 1
            path = folder / _file_name(order)
            sample = _write_rows(test_files, sample, path)
            back = np.argsort(sample.places)
            first = {
                head: np.round(scores(sample, head, answers), 6)[back].tolist()
                for head, answers in model.answers(model.outputs(sample.columns)).items()
            }
            name = keep.name([each.name for each in sets])
            sets.append(KeptSet(name, order, keep.fingerprint, first, _places(sample, train), path, sample))
    sets = thinned(sets, options.sets)
    for each in sets:
        if each.path.parent != folder:
            shutil.copyfile(each.path, folder / _file_name(each.order))
    listed = [{name: getattr(each, name) for name in _STORED} for each in sets]
    (folder / LIST_FILE).write_text(json.dumps(listed, ensure_ascii=False) + "\n", encoding="utf-8")


def thinned(sets: Sequence[KeptSet], number: int) -> list[KeptSet]:
    """Leaves so many sets: the oldest, the newest, and between them some that lie ever farther apart.

    A rolling window trains on the newest spans, so the newest sets alone would say nothing of what is forgotten.
    """
    left = sorted(sets, key=lambda each: each.order)
    while len(left) > number:
        ages = [left[-1].order + 1 - each.order for each in left]
        inner = range(1, len(left) - 1)
        del left[min(inner, key=lambda at: ages[at - 1] / ages[at + 1], default=0)]
    return left


def _file_name(order: int) -> str:
    return f"{order}.tfrecord.gz"


def _places(sample: Sample, train: TrainSplit) -> list[int]:
    return sorted(np.array(sample.places, int)[train.holds(sample)].tolist())


def _write_rows(files: Sequence[str], sample: Sample, path: Path) -> Sample:
    """Copies the sample's rows as they are; the places become those in the new file."""
    wanted = set(sample.places)
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP")
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for place, record in enumerate(records.as_numpy_iterator()):
            if place in wanted:
                writer.write(record)
    return replace(sample, places=np.argsort(np.argsort(sample.places)).tolist())
