"""All gates that want more than statistics: those on equal rows look at each, the others at some."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.data_gate.duplicates import conflict_gates, duplicate_gates
from components.data_gate.fingerprints import Fingerprints, fingerprints_of
from components.data_gate.leaks import leak_gates
from components.data_gate.table import MAX_ROWS
from components.data_gate.text_drift import Texts, text_drift_gates
from components.data_gate.words import read_profiles, words_of, write_profiles
from components.gates import Gate
from components.pusher.versions import TEXT_PROFILE_FILE
from components.schema_gen.options import ValidationOptions

TRAIN = "train"
SAMPLED_ROWS = 50_000
"""Rows of a split by which leaks and drift are judged: they are shares, which more rows would hardly change."""


def row_gates(
    files: Mapping[str, list[str]],
    features: Mapping[str, str],
    labels: Mapping[str, str],
    directory: Path,
    live_profile: Path | None,
    live_version: int,
    options: ValidationOptions,
) -> list[Gate]:
    """Makes the gates on duplicates, conflicting labels, features that give the label away, and drift of texts.

    Args:
        files: split → gzipped TFRecords of tf.Example.
        features: what the model reads: name → `text`, `category` or `number`.
        labels: label name → `category`, `categories` or `number`.
        directory: gets `text_profile.json`, which a version keeps for the next run's drift.
        live_profile: that of the live version; None if nothing is live.
        live_version: its number.
        options: limits and severities.
    """
    features = {name: kind for name, kind in features.items() if kind != "passthrough"}
    splits = {split: fingerprints_of(paths, features, labels) for split, paths in files.items()}
    gates = duplicate_gates(splits, features, options) + conflict_gates(splits[TRAIN], features, labels, options)
    if not all(split.whole for split in splits.values()):
        gates = _partly(gates, f"Of the first {MAX_ROWS:,} rows of each split.")
    sampled = {split: each.read(_sample(each)) for split, each in splits.items()}
    train = sampled.pop(TRAIN)
    others = leak_gates(train, list(sampled.values()), features, labels, options)
    del sampled
    columns = {name: train.columns[name] for name, kind in features.items() if kind == "text"}
    texts = {name: Texts.of(column, words_of([column])[0]) for name, column in columns.items()}
    write_profiles(directory / TEXT_PROFILE_FILE, {name: each.profile() for name, each in texts.items()})
    if live_profile is not None and texts:
        others += text_drift_gates(texts, read_profiles(live_profile), live_version, options)
    if any(split.num_rows > SAMPLED_ROWS for split in splits.values()):
        others = _partly(others, f"Of at most {SAMPLED_ROWS:,} rows of each split, evenly spread.")
    pa.default_memory_pool().release_unused()  # it would keep the texts' room through all further steps
    return gates + others


def _sample(split: Fingerprints) -> np.ndarray:
    return np.linspace(0, split.num_rows - 1, min(split.num_rows, SAMPLED_ROWS)).astype(np.int64)


def _partly(gates: list[Gate], of_which: str) -> list[Gate]:
    return [dataclasses.replace(gate, why=f"{gate.why} ({of_which})") for gate in gates]
