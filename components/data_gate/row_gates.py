"""One pass over the rows, and all gates that want more than statistics."""

from collections.abc import Mapping
from pathlib import Path

from components.data_gate.duplicates import conflict_gates, duplicate_gates, longest_texts
from components.data_gate.leaks import leak_gates
from components.data_gate.table import MAX_ROWS, Table, read_table
from components.data_gate.text_drift import Texts, text_drift_gates
from components.data_gate.words import Words, read_profiles, words_of, write_profiles
from components.gates import Gate
from components.pusher.versions import TEXT_PROFILE_FILE
from components.schema_gen.options import ValidationOptions

TRAIN = "train"


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
    tables = {split: read_table(paths, {**features, **labels}) for split, paths in files.items()}
    train = tables[TRAIN]
    others = {split: table for split, table in tables.items() if split != TRAIN}
    gates = duplicate_gates(tables, features, _longest(tables, features), options)
    longest = longest_texts(train, features)
    gates += conflict_gates(train, features, labels, words_of([longest])[0] if longest is not None else None, options)
    gates += leak_gates(train, list(others.values()), features, labels, options)
    columns = {name: train.columns[name] for name, kind in features.items() if kind == "text"}
    texts = {name: Texts.of(column, words_of([column])[0]) for name, column in columns.items()}
    write_profiles(directory / TEXT_PROFILE_FILE, {name: each.profile() for name, each in texts.items()})
    if live_profile is not None and texts:
        gates += text_drift_gates(texts, read_profiles(live_profile), live_version, options)
    if all(table.whole for table in tables.values()):
        return gates
    partly = f" (Of the first {MAX_ROWS:,} rows of each split.)"
    return [Gate(**{**vars(gate), "why": gate.why + partly}) for gate in gates]


def _longest(tables: Mapping[str, Table], features: Mapping[str, str]) -> dict[str, Words]:
    """Split → the words of each row's longest text, by one vocabulary; empty where there are no texts."""
    columns = [longest_texts(table, features) for table in tables.values()]
    texts = [column for column in columns if column is not None]
    return dict(zip(tables, words_of(texts), strict=True)) if texts else {}
