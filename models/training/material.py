"""What a training works on: rows, vocabularies and targets, read once however often is trained."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models.input_fn import Split, read_split
from models.labels import Target, type_of
from models.labels.class_names import UNSEEN_ID
from models.modalities import vocabulary_files
from models.spec import ModelSpec
from models.vocabulary import read_vocabulary

_notices = logging.getLogger("attention.progress")


@dataclass(frozen=True)
class Material:
    """All that the training reads.

    Attributes:
        transform_output: the Transform graph.
        vocabularies: name → entries.
        train_split: rows to learn from.
        eval_split: rows to choose the best epoch by.
        targets: head → what is to be predicted.
    """

    transform_output: tft.TFTransformOutput
    vocabularies: dict[str, list[str]]
    train_split: Split
    eval_split: Split
    targets: dict[str, Target]

    def fingerprint(self, described: Any, weights: Iterable[np.ndarray] = ()) -> str:
        """Names a training by all that it depends on, so that what is on disk of it is never taken up by another one.

        Args:
            described: plain JSON; what is done with the material.
            weights: what it starts from, if not from chance.
        """
        targets = {name: dataclasses.asdict(target) for name, target in self.targets.items()}
        digest = hashlib.sha256(json.dumps([described, self.vocabularies, targets]).encode())
        for weight in weights:
            digest.update(weight.tobytes())
        for split in (self.train_split, self.eval_split):
            for column in split.labels.values():
                digest.update(column.tobytes())
            for name, column in sorted(split.features.items()):
                digest.update(name.encode())
                for part in tf.nest.flatten(column, expand_composites=True):
                    digest.update(np.asarray(part).tobytes())
        return digest.hexdigest()[:16]


def read_material(
    spec: ModelSpec, transform_graph: str, train_files: Sequence[str], eval_files: Sequence[str]
) -> Material:
    """Reads both splits through the Transform graph.

    Args:
        spec: its features and heads; network and training are no matter.
        transform_graph: folder of the graph.
        train_files: file patterns of raw tf.Examples, as are the next.
        eval_files: of the eval split.

    Raises:
        ValueError: there is nothing to learn or nothing to evaluate on.
    """
    transform_output = tft.TFTransformOutput(transform_graph)
    vocabularies = {name: read_vocabulary(transform_output, name) for name in vocabulary_files(spec)}
    train_split = read_split(train_files, transform_output, spec)
    eval_split = read_split(eval_files, transform_output, spec)
    targets = {
        name: type_of(head).find_target(train_split.labels[name], name, transform_output)
        for name, head in spec.heads.items()
    }
    _check_labels(spec, train_split, eval_split)
    _tell_missing_classes({name: target for name, target in targets.items() if target.classes}, eval_split)
    return Material(transform_output, vocabularies, train_split, eval_split, targets)


def _check_labels(spec: ModelSpec, train_split: Split, eval_split: Split) -> None:
    for name in (name for name, label_type in spec.label_types.items() if label_type != "number"):
        for split_name, split in (("train", train_split), ("eval", eval_split)):
            unseen = int(np.sum(split.labels[name].reshape(len(split), -1)[:, 0] == UNSEEN_ID))
            if unseen:
                raise ValueError(
                    f"Every class of `{name}` must occur in the train split that Transform has read. "
                    f"Received: {unseen} of {len(split)} rows of the {split_name} split with another class"
                )


def _tell_missing_classes(targets: Mapping[str, Target], eval_split: Split) -> None:
    """Says which classes nothing can be said of, for no row of the eval split has them."""
    for name, target in targets.items():
        labels = eval_split.labels[name]
        seen = np.any(labels, axis=0) if labels.ndim == 2 else np.isin(np.arange(len(target.classes)), labels)
        missing = [each for each, occurs in zip(target.classes, seen.tolist(), strict=True) if not occurs]
        if missing:
            _notices.warning(
                "The eval split lacks %d of the %d classes of `%s`, so the best epoch is chosen without them: %s",
                len(missing),
                len(target.classes),
                name,
                ", ".join(missing[:10]) + (", …" if len(missing) > 10 else ""),
            )
