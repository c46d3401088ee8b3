"""Rows that say the same: in train and in a split that judges (leakage), or with different labels (noise)."""

from collections.abc import Mapping

import numpy as np

from components.data_gate.fingerprints import MIN_WORDS, Fingerprints, longest_texts, shingles_of
from components.data_gate.words import words_of
from components.gates import Gate
from components.schema_gen.options import ValidationOptions

SHOWN_ROWS = 3
MIN_EQUAL_WORDS = 4
"""Shorter texts are equal by chance: `thank you` stands in many reviews."""
SIMILAR = 0.8
"""Jaccard similarity of two texts' sets of shingles from which they are near-duplicates."""

_MAX_CANDIDATES = 5


def duplicate_gates(
    splits: Mapping[str, Fingerprints], types: Mapping[str, str], options: ValidationOptions
) -> list[Gate]:
    """Makes the gates `duplicates/<split>` and, where there are texts, `near_duplicates/<split>`.

    Rows of categories and numbers alone repeat by nature, so without texts a failed gate warns and no more; where there
    are texts, rows with an empty one do not count, and those with a short one are nobody's duplicates.

    Args:
        splits: split → its rows; `train` is among them.
        types: the features: `text`, `category` or `number`.
        options: limits and severities.
    """
    train, text = splits["train"], _first_text(types)
    if not train.num_rows:
        return []
    gates = []
    for split, rows in splits.items():
        counts = rows.lengths > 0 if text else np.ones(rows.num_rows, bool)
        if split == "train" or not counts.any():
            continue
        same = np.isin(rows.keys, train.keys) & counts
        if text:
            same &= rows.lengths >= MIN_EQUAL_WORDS
        shown = rows.describe(np.flatnonzero(same)[:SHOWN_ROWS], text)
        severity = options.severity.duplicates if text else "warn"
        what = "say in every feature what a row of train says"
        cure = "split by what they share (`data.split_by`) or leave out one of them"
        own = options, "max_duplicates"
        gates.append(_gate(f"duplicates/{split}", same.sum(), counts.sum(), own, what, severity, shown, cure))
        if not text:
            continue
        # What stands in train word for word is told by the gate above.
        similar = near_twins(rows, train, ~same)
        near = np.flatnonzero(similar >= 0)
        some = near[:SHOWN_ROWS]
        pairs = zip(rows.describe(some, text), train.describe(similar[some], text), strict=True)
        shown = [f"{own} ~ {other}" for own, other in pairs]
        what = f"have a text of at least {MIN_WORDS} words that is nearly one of train"
        severity = options.severity.near_duplicates
        own = options, "max_near_duplicates"
        gates.append(_gate(f"near_duplicates/{split}", len(near), counts.sum(), own, what, severity, shown, cure))
    return gates


def conflict_gates(
    train: Fingerprints, types: Mapping[str, str], labels: Mapping[str, str], options: ValidationOptions
) -> list[Gate]:
    """Makes the gate `label_conflicts` of each label of classes: rows of train that are equal but for the label.

    A row conflicts if most rows that say the same have another label. Without texts a failed gate warns and no more;
    where there are texts, rows with an empty one do not count, and those with a short one do not conflict. Where there
    are several labels, `/<label>` comes behind.

    Args:
        train: its rows.
        types: the features.
        labels: label name → `category`, `categories` or `number`; numbers have no conflicts.
        options: limit and severity.
    """
    if not train.num_rows:
        return []
    text = _first_text(types)
    counts = train.lengths > 0 if text else np.ones(train.num_rows, bool)
    groups = np.unique(train.keys, return_inverse=True)[1]
    gates = []
    for label, values in train.labels.items():
        codes, number = values.indices.to_numpy().astype(np.int64), len(values.dictionary)
        pairs, pair_of_row, sizes = np.unique(groups * number + codes, return_inverse=True, return_counts=True)
        most = np.zeros(int(groups.max()) + 1, np.int64)
        np.maximum.at(most, pairs // number, sizes)
        best = np.zeros(len(most), np.int64)
        winners = sizes == most[pairs // number]
        best[pairs[winners] // number] = pairs[winners]
        odd = (best[groups] != pairs[pair_of_row]) & counts
        if text:
            odd &= train.lengths >= MIN_EQUAL_WORDS
        some = np.flatnonzero(odd)[:SHOWN_ROWS]
        others = [values.dictionary[int(code)].as_py() for code in best[groups[some]] % number]
        described = zip(train.describe(some, label), others, strict=True)
        rows = [f"{row}; elsewhere {label}={other!r}" for row, other in described]
        severity = options.severity.label_conflicts if text else "warn"
        what = f"have another `{label}` than most rows of train that say the same"
        cure = "mend the labels or leave such rows out"
        name = f"label_conflicts/{label}" if len(labels) > 1 else "label_conflicts"
        own = options, "max_label_conflicts"
        gates.append(_gate(name, odd.sum(), counts.sum(), own, what, severity, rows, cure))
    return gates


def near_twins(rows: Fingerprints, train: Fingerprints, wanted: np.ndarray) -> np.ndarray:
    """Finds for each row one of train whose text is nearly the same.

    Fingerprints propose, the exact Jaccard similarity of the sets of three-word shingles decides, for which the rows
    that were proposed are read again.

    Args:
        rows: to look up.
        train: where.
        wanted: bool `(rows,)`: for which.

    Returns:
        int64 `(rows,)`: the place in train, or -1.
    """
    result = np.full(rows.num_rows, -1)
    here, there = _candidates(rows, train, wanted)
    ours, theirs = _shingle_sets(rows, here), _shingle_sets(train, there)
    for row, place in zip(here.tolist(), there.tolist(), strict=True):
        own, other = ours[row], theirs[place]
        if result[row] < 0 and len(own & other) >= SIMILAR * len(own | other):
            result[row] = place
    return result


def _candidates(rows: Fingerprints, train: Fingerprints, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that share a band: int64 `(pairs,)` of rows, ascending, and of places in train, ascending for each row."""
    own, known = np.flatnonzero((rows.lengths >= MIN_WORDS) & wanted), np.flatnonzero(train.lengths >= MIN_WORDS)
    pairs = [np.zeros(0, np.int64)]
    for ours, theirs in zip(rows.bands, train.bands, strict=True):
        order = known[np.argsort(theirs[known], kind="stable")]
        first = np.searchsorted(theirs[order], ours[own], "left")
        found = np.minimum(np.searchsorted(theirs[order], ours[own], "right") - first, _MAX_CANDIDATES)
        places = np.arange(found.sum()) + np.repeat(first - np.cumsum(found) + found, found)
        pairs.append(np.repeat(own, found) * train.num_rows + order[places])
    return np.divmod(np.unique(np.concatenate(pairs)), max(train.num_rows, 1))


def _shingle_sets(rows: Fingerprints, places: np.ndarray) -> dict[int, set[int]]:
    """Row → its shingles."""
    places = np.unique(places)
    if not len(places):
        return {}
    (words,) = words_of([longest_texts(rows.read(places), rows.features)])
    shingles, offsets = shingles_of(words)
    return {
        int(place): set(shingles[start:stop].tolist())
        for place, start, stop in zip(places, offsets, offsets[1:], strict=False)
    }


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
