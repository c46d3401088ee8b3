"""What the weights of a network stand for, so that a later training can take them over where its classes, word pieces
or categories are others."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.labels import Target, type_of
from models.modalities import modalities_of
from models.spec import WORD_LOGITS, ModelSpec, of_head

_FILE = os.path.join("assets.extra", "network.json")


@dataclass(frozen=True)
class NamedAxis:
    """One axis of a weight whose places have names.

    Attributes:
        axis: which one.
        names: of its places, in order; each once.
    """

    axis: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Weight:
    """One weight of a saved network.

    Attributes:
        value: as it was trained.
        named: its axis with names, if it has one.
    """

    value: np.ndarray
    named: NamedAxis | None


@dataclass(frozen=True)
class SavedWeights:
    """The weights of a SavedModel.

    Attributes:
        by_path: path of a Keras variable → its weight.
        targets: head → what it predicted.
    """

    by_path: dict[str, Weight]
    targets: dict[str, Target]


def named_axes(
    spec: ModelSpec, vocabularies: Mapping[str, list[str]], targets: Mapping[str, Target]
) -> dict[str, NamedAxis]:
    """Names the places of all weights that hold one row for each word piece, category, position or class.

    Returns:
        path of a Keras variable → its named axis.
    """
    axes: dict[str, NamedAxis] = {}
    for modality, features in modalities_of(spec):
        rows = modality.row_names(features, vocabularies)
        axes |= {path: NamedAxis(0, tuple(names)) for path, names in rows.items()}
    for name, head in spec.heads.items():
        for layer in ("logits", WORD_LOGITS):
            places = type_of(head).class_names(of_head(name, layer), targets[name])
            axes |= {path: NamedAxis(-1, tuple(names)) for path, names in places.items()}
    return axes


def write_names(
    network: keras.Model,
    spec: ModelSpec,
    vocabularies: Mapping[str, list[str]],
    targets: Mapping[str, Target],
    directory: str,
) -> None:
    """Writes beside a SavedModel what its `network_variables` stand for, in their order."""
    axes = named_axes(spec, vocabularies, targets)
    described: dict[str, Any] = {
        "variables": [
            {"path": variable.path, **(vars(axes[variable.path]) if variable.path in axes else {})}
            for variable in network.variables
        ],
        "targets": {name: vars(target) for name, target in targets.items()},
    }
    path = os.path.join(directory, _FILE)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(described, ensure_ascii=False))


def read_weights(directory: str) -> SavedWeights | None:
    """Reads the weights of a SavedModel with the names that `write_names` left.

    Returns:
        None if there is no SavedModel, or one that was written without names.
    """
    path = os.path.join(directory, _FILE)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        described = json.loads(file.read())
    values = tf.train.load_checkpoint(os.path.join(directory, "variables", "variables"))
    by_path = {}
    for index, each in enumerate(described["variables"]):
        value = values.get_tensor(f"network_variables/{index}/.ATTRIBUTES/VARIABLE_VALUE")
        named = NamedAxis(each["axis"], tuple(each["names"])) if "names" in each else None
        by_path[each["path"]] = Weight(value, named)
    targets = {
        name: Target(tuple(target["classes"]), target["mean"], target["deviation"])
        for name, target in described["targets"].items()
    }
    return SavedWeights(by_path, targets)
