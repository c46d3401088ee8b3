"""Rows that say the same: in train and in a split that judges (leakage), or with different labels (noise)."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_gate.table import Table, row_keys
from components.data_gate.words import Words
from components.gates import Gate
from components.schema_gen.options import ValidationOptions

SHOWN_ROWS = 3
SHINGLE = 3
MIN_WORDS = 8
"""Shorter texts resemble each other by chance."""
MIN_EQUAL_WORDS = 4
"""Shorter texts are equal by chance: `thank you` stands in many reviews."""
SIMILAR = 0.8
"""Jaccard similarity of two texts' sets of shingles from which they are near-duplicates."""

_BANDS, _BAND_ROWS = 8, 4
_MAX_CANDIDATES = 5


def duplicate_gates(
    tables: Mapping[str, Table], types: Mapping[str, str], words: Mapping[str, Words], options: ValidationOptions
) -> list[Gate]:
    """Makes the gates `duplicates/<split>` and, where there are texts, `near_duplicates/<split>`.

    Rows of categories and numbers alone repeat by nature, so without texts a failed gate warns and no more; where there
    are texts, rows with an empty one do not count, and those with a short one are nobody's duplicates.

    Args:
        tables: split → its rows; `train` is among them.
        types: the features: `text`, `category` or `number`.
        words: split → the words of each row's longest text; empty where there are no texts.
        options: limits and severities.
    """
    if not tables["train"].num_rows:
        return []
    keys = {split: row_keys(table, types) for split, table in tables.items()}
    gates = []
    for split, table in tables.items():
        counts = words[split].lengths > 0 if words else np.ones(table.num_rows, bool)
        if split == "train" or not counts.any():
            continue
        twins = pc.fill_null(pc.index_in(keys[split], keys["train"]), -1).to_numpy(zero_copy_only=False)
        same = (twins >= 0) & counts
        if words:
            same &= words[split].lengths >= MIN_EQUAL_WORDS
        rows = [table.describe(at, _first_text(types)) for at in np.flatnonzero(same)[:SHOWN_ROWS]]
        severity = options.severity.duplicates if words else "warn"
        what = "say in every feature what a row of train says"
        cure = "split by what they share (`data.split_by`) or leave out one of them"
        own = options, "max_duplicates"
        gates.append(_gate(f"duplicates/{split}", same.sum(), counts.sum(), own, what, severity, rows, cure))
        if not words:
            continue
        long = words[split].lengths >= MIN_WORDS
        similar = near_twins(words[split], words["train"])
        # What stands in train word for word is told by the gate above.
        near = (similar >= 0) & ~same & long
        text = _first_text(types)
        rows = [
            f"{table.describe(at, text)} ~ {tables['train'].describe(similar[at], text)}"
            for at in np.flatnonzero(near)[:SHOWN_ROWS]
        ]
        what = f"have a text of at least {MIN_WORDS} words that is nearly one of train"
        severity = options.severity.near_duplicates
        own = options, "max_near_duplicates"
        gates.append(_gate(f"near_duplicates/{split}", near.sum(), counts.sum(), own, what, severity, rows, cure))
    return gates


def conflict_gates(
    train: Table, types: Mapping[str, str], labels: Mapping[str, str], words: Words | None, options: ValidationOptions
) -> list[Gate]:
    """Makes the gate `label_conflicts` of each label of classes: rows of train that are equal but for the label.

    A row conflicts if most rows that say the same have another label. Without texts a failed gate warns and no more;
    where there are texts, rows with an empty one do not count, and those with a short one do not conflict. Where there
    are several labels, `/<label>` comes behind.

    Args:
        train: its rows.
        types: the features.
        labels: label name → `category`, `categories` or `number`; numbers have no conflicts.
        words: of each row's longest text; None where there are no texts.
        options: limit and severity.
    """
    if not train.num_rows:
        return []
    counts = words.lengths > 0 if words is not None else np.ones(train.num_rows, bool)
    groups = row_keys(train, types).dictionary_encode().indices.to_numpy()
    gates = []
    for label in (name for name, kind in labels.items() if kind != "number"):
        values = pc.fill_null(train.columns[label], "").dictionary_encode()
        codes, number = values.indices.to_numpy().astype(np.int64), len(values.dictionary)
        pairs, pair_of_row, sizes = np.unique(groups * number + codes, return_inverse=True, return_counts=True)
        most = np.zeros(int(groups.max()) + 1, np.int64)
        np.maximum.at(most, pairs // number, sizes)
        best = np.zeros(len(most), np.int64)
        winners = sizes == most[pairs // number]
        best[pairs[winners] // number] = pairs[winners]
        odd = (best[groups] != pairs[pair_of_row]) & counts
        if words is not None:
            odd &= words.lengths >= MIN_EQUAL_WORDS
        rows = []
        for at in np.flatnonzero(odd)[:SHOWN_ROWS]:
            other = values.dictionary[int(best[groups[at]] % number)].as_py()
            rows.append(f"{train.describe(at, label)}; elsewhere {label}={other!r}")
        severity = options.severity.label_conflicts if words is not None else "warn"
        what = f"have another `{label}` than most rows of train that say the same"
        cure = "mend the labels or leave such rows out"
        name = f"label_conflicts/{label}" if len(labels) > 1 else "label_conflicts"
        own = options, "max_label_conflicts"
        gates.append(_gate(name, odd.sum(), counts.sum(), own, what, severity, rows, cure))
    return gates


def near_twins(texts: Words, train: Words) -> np.ndarray:
    """Finds for each text one of train that is nearly the same.

    MinHash with banding (Broder 1997; Leskovec et al., Mining of Massive Datasets, section 3.4) proposes, the exact
    Jaccard similarity of the sets of three-word shingles decides.

    Args:
        texts: to look up.
        train: with the same vocabulary.

    Returns:
        int64 `(texts,)`: the place in train, or -1.
    """
    (ours, our_offsets), (theirs, their_offsets) = _shingles(texts), _shingles(train)
    result = np.full(len(texts.offsets) - 1, -1)
    if not len(ours) or not len(theirs):
        return result
    long = [np.flatnonzero(np.diff(offsets) > 0) for offsets in (our_offsets, their_offsets)]
    bands = _bands(ours, our_offsets[:-1][long[0]]), _bands(theirs, their_offsets[:-1][long[1]])
    candidates: dict[int, set[int]] = {}
    for band in range(_BANDS):
        order = np.argsort(bands[1][band], kind="stable")
        known = bands[1][band][order]
        first = np.searchsorted(known, bands[0][band], "left")
        last = np.searchsorted(known, bands[0][band], "right")
        for at in np.flatnonzero(last > first):
            found = order[first[at] : min(last[at], first[at] + _MAX_CANDIDATES)]
            candidates.setdefault(int(long[0][at]), set()).update(long[1][found].tolist())
    for text, places in candidates.items():
        own = set(ours[our_offsets[text] : our_offsets[text + 1]].tolist())
        for place in sorted(places):
            other = set(theirs[their_offsets[place] : their_offsets[place + 1]].tolist())
            if len(own & other) >= SIMILAR * len(own | other):
                result[text] = place
                break
    return result


def _shingles(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """uint64 `(shingles,)` and the offsets of each text's; texts of fewer than `MIN_WORDS` words have none."""
    ids = words.ids.astype(np.uint64)
    count = max(len(ids) - SHINGLE + 1, 0)
    mixed = np.zeros(count, np.uint64)
    for step in range(SHINGLE):
        mixed = (mixed ^ (ids[step : step + count] + np.uint64(1))) * np.uint64(0x9E3779B97F4A7C15)
    long = words.lengths >= MIN_WORDS
    own = np.where(long, words.lengths - SHINGLE + 1, 0)
    inside = np.repeat(long, words.lengths)
    ends = np.zeros(len(ids) + 1, bool)
    for step in range(1, SHINGLE):
        ends[np.maximum(words.offsets[1:] - step, 0)] = True
    kept = (inside & ~ends[:-1])[:count]
    return mixed[kept], np.concatenate([[0], np.cumsum(own)])


def _bands(shingles: np.ndarray, starts: np.ndarray) -> list[np.ndarray]:
    """For each band a uint64 `(texts,)` that two texts share if their smallest hashes in the band are the same."""
    generator = np.random.default_rng(0)
    bands = []
    for _ in range(_BANDS):
        band = np.zeros(len(starts), np.uint64)
        for _ in range(_BAND_ROWS):
            salt, factor = generator.integers(1, 2**63, 2, dtype=np.uint64)
            hashed = ((shingles ^ salt) * (factor | np.uint64(1))) >> np.uint64(20)
            band = (band ^ np.minimum.reduceat(hashed, starts)) * np.uint64(0x9E3779B97F4A7C15)
        bands.append(band)
    return bands


def longest_texts(table: Table, types: Mapping[str, str]) -> pa.Array | None:
    """Of each row the longest of its texts: string `(rows,)`; None where no feature is a text."""
    texts = [table.columns[name] for name, kind in types.items() if kind == "text"]
    if not texts:
        return None
    lengths = np.stack([pc.fill_null(pc.binary_length(text), -1).to_numpy(zero_copy_only=False) for text in texts])
    return pc.choose(pa.array(lengths.argmax(axis=0)), *texts) if len(texts) > 1 else texts[0]


def _first_text(types: Mapping[str, str]) -> str:
    return next((name for name, kind in types.items() if kind == "text"), "")


def _gate(name, number, of, own, what, severity, rows, cure) -> Gate:
    """`own` are the options and the name of the one that holds the gate's limit."""
    options, option = own
    limit = getattr(options, option)
    share = float(number / max(of, 1))
    why = f"{number:,} of {of:,} rows ({share:.2%}) {what}; allowed is {limit:.2%}."
    if share > limit:
        why = f"{why[:-1]}: {cure}, or raise `validation.{option}`. E.g. {rows[0]}"
    return Gate(name, share <= limit, share, limit, why, severity, rows)
