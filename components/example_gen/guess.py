"""Guesses from a sample what each column of a table is: what `attention init` writes into a new config."""

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.check import as_number, as_text
from components.example_gen.errors import InputDataError
from components.example_gen.files import matching_files
from components.example_gen.inputs import resolve_inputs
from components.example_gen.options import LABEL_KEY
from components.example_gen.plan import data_files, plan_file
from components.example_gen.units import read_unit

SAMPLE_ROWS = 20_000
ERROR_LEFT = 0.5
"""A column by which at most this share of the errors of a constant guess is left is taken to give the label away.

On the shop reviews the stars leave 0.36, a linear SVM over the whole text 0.52, and no honest column less than 0.9.
"""
LONG_WORDS, LONG_SHARE = 128, 0.25
"""A column of which so many texts have more words is read further than is usual."""
_MIN_ROWS_FOR_SUSPICION = 50
_MAX_CLASSES_FOR_SUSPICION = 1000
_DAY = r"([0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4})"
_DATE = rf"^\s*{_DAY}([T ]+[0-9]{{1,2}}:[0-9]{{2}}.*)?\s*$|^\s*[0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}})?\s*$"
_WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]|[^\s\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]+"
_ID_NAME = re.compile(r"(^|[\W_])(id|uuid|guid|key|index)([\W_]|$)|[a-z]I[dD]$|^__index", re.IGNORECASE)
_INDEX_NAME = re.compile(r"^(unnamed: \d+|index|__index_level_\d+__|)$", re.IGNORECASE)

Type = Literal["text", "number", "category", "skip"]


@dataclass(frozen=True)
class ColumnGuess:
    """What a column seems to be."""

    column: str
    name: str
    """A unique identifier for the feature."""
    type: Type
    reason: str
    """Why; of a skipped column, why it should stay out."""
    examples: list[str]
    """Up to three different values."""
    suspicious: bool = False
    """The column alone nearly tells the label: it is a copy of it, or known only afterwards."""
    long: bool = False
    """Of the texts of this column many have more words than are usually read; of no other column more do."""


def guess_features(data: str | dict[str, str], label: str) -> list[ColumnGuess]:
    """Looks at the first rows of a table and guesses the type of every column but the label's.

    Args:
        data: as for `resolve_inputs`; of several splits, train is looked at.
        label: the label's column.

    Returns:
        One guess per column, in the order of the table.

    Raises:
        InputDataError: the table cannot be read, is empty, or has no such label column.
    """
    columns = _sample(data, label)
    label_values = columns.pop(label)
    if label_values is None or label_values.null_count == len(label_values):
        raise InputDataError(f"The label column `{label}` holds no values in the first {SAMPLE_ROWS} rows.")
    classes = label_values.fill_null("").to_numpy(zero_copy_only=False).astype(str)
    taken = {LABEL_KEY}
    guesses: list[ColumnGuess] = []
    long: dict[str, float] = {}
    for column, values in columns.items():
        name = _identifier(column, taken, len(guesses) + 1)
        if values is None:
            guesses.append(ColumnGuess(column, name, "skip", "holds lists or structures", []))
            continue
        kind, reason = _guess_type(column, values)
        examples = [text[:60] for text in values.drop_null().unique()[:3].to_pylist()]
        left = _error_left(values, kind, classes) if kind in ("number", "category") else 1.0
        if left <= ERROR_LEFT:
            reason = f"gives the label away: alone it undoes {1 - left:.0%} of the errors of a constant guess"
            guesses.append(ColumnGuess(column, name, "skip", reason, examples, suspicious=True))
        else:
            guesses.append(ColumnGuess(column, name, kind, reason, examples))
        if kind == "text":
            long[name] = _share(pc.greater(pc.count_substring_regex(values.drop_null(), _WORD), LONG_WORDS))
    longest = max(long, key=long.__getitem__, default="")
    if long.get(longest, 0.0) < LONG_SHARE:
        return guesses
    reason = f"{long[longest]:.0%} have more than {LONG_WORDS} words"
    return [replace(each, long=True, reason=reason) if each.name == longest else each for each in guesses]


def _sample(data: str | dict[str, str], label: str) -> dict[str, pa.Array | None]:
    """The first rows of every column as large_string; None for a column of lists or structures."""
    base, inputs = resolve_inputs(data)
    paths = data_files(matching_files(f"{base}/{inputs[0][1]}"))
    units = next(filter(None, (plan_file(path, path, (label,)) for path in paths)), None)
    if units is None:
        raise InputDataError(f"`{base}/{inputs[0][1]}` is empty.")
    names = tuple(dict.fromkeys(units[0].columns))
    parts: dict[str, list[pa.Array] | None] = {name: [] for name in names}
    rows = 0
    for batch in read_unit(units[0], names):
        for name in names:
            values = batch.columns.get(name, pa.nulls(len(batch.rows), pa.large_string()))
            gathered = parts[name]
            if pa.types.is_nested(values.type):
                parts[name] = None
            elif gathered is not None:
                gathered.append(as_text(values)[0])
        rows += len(batch.rows)
        if rows >= SAMPLE_ROWS:
            break
    if not rows:
        raise InputDataError(f"`{units[0].name}` has columns but no rows that can be read.")
    return {name: None if arrays is None else pa.concat_arrays(arrays) for name, arrays in parts.items()}


def _guess_type(column: str, values: pa.Array) -> tuple[Type, str]:
    values = values.drop_null()
    if not column.strip():
        return "skip", "no name in the header"
    if _INDEX_NAME.match(column.strip()):
        return "skip", "row numbers"
    if not len(values):
        return "skip", "no values"
    distinct = pc.count_distinct(values).as_py()
    if distinct == 1 and len(values) > 1:
        return "skip", "one value only"
    if _share(pc.match_substring_regex(values, _DATE)) >= 0.95:
        return "skip", "dates or times"
    unique = distinct / len(values)
    numbers, not_numbers = as_number(values)
    if not_numbers.mean() <= 0.01:
        return _guess_number_type(column, numbers, distinct)
    words = pc.mean(pc.count_substring_regex(values, _WORD)).as_py()
    if words >= 4 and unique > 0.05:
        return "text", f"{words:.0f} words on average"
    if unique <= 0.5:
        return "category", f"{distinct} different values"
    if words < 1.5 and unique > 0.9 and len(values) > 20:
        return "skip", "a value of its own in almost every row, like an id"
    return "text", f"{words:.1f} words on average, {distinct} different values"


def _guess_number_type(column: str, numbers: pa.Array, distinct: int) -> tuple[Type, str]:
    sound = numbers.drop_null().to_numpy(zero_copy_only=False)
    unique = distinct / len(numbers)
    whole = bool(np.all(sound == np.round(sound)))
    if _ID_NAME.search(column) and whole:
        if unique > 0.5:
            return "skip", "an id: a value of its own in most rows"
        return "category", f"numbers that name {distinct} things"
    if whole and len(sound) > 20 and unique == 1 and (np.all(np.diff(sound) > 0) or np.all(np.diff(sound) < 0)):
        return "skip", "row numbers"
    if distinct == 2:
        return "category", "2 different values"
    return "number", f"from {np.min(sound, initial=np.inf):g} to {np.max(sound, initial=-np.inf):g}"


def _error_left(values: pa.Array, kind: Type, classes: np.ndarray) -> float:
    """The share of the errors of a constant guess that is left when each value names its most frequent class.

    Learnt on every second row and counted on the others, so that a value that occurs once tells nothing.
    """
    names, labels = np.unique(classes, return_inverse=True)
    if len(classes) < _MIN_ROWS_FOR_SUSPICION or not 2 <= len(names) <= _MAX_CLASSES_FOR_SUSPICION:
        return 1.0
    if kind == "number":
        numbers = np.nan_to_num(as_number(values)[0].to_numpy(zero_copy_only=False), nan=np.inf)
        edges = np.unique(np.quantile(numbers[np.isfinite(numbers)], np.linspace(0, 1, 65)))
        codes = np.searchsorted(edges, numbers)
    else:
        codes = np.unique(values.fill_null("").to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
    counts = np.zeros((codes.max() + 1, len(names)), np.int64)
    np.add.at(counts, (codes[::2], labels[::2]), 1)
    constant = counts.sum(axis=0).argmax()
    best = np.where(counts.any(axis=1), counts.argmax(axis=1), constant)
    errors, before = (best[codes[1::2]] != labels[1::2]).sum(), (labels[1::2] != constant).sum()
    return float(errors / before) if before else 1.0


def _identifier(column: str, taken: set[str], position: int) -> str:
    """A feature name made of the column's ASCII letters and digits; `column_3` where it has none."""
    ascii_text = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_") or f"column_{position}"
    slug = slug if slug[0].isalpha() else f"column_{slug}"
    name = next(name for name in (slug, *(f"{slug}_{again}" for again in range(2, 10**6))) if name not in taken)
    taken.add(name)
    return name


def _share(mask: pa.Array) -> float:
    return pc.mean(mask.cast(pa.float64())).as_py()


def count_classes(data: str | dict[str, str], label: str) -> dict[str, int]:
    """Counts the label's values in the same sample, most frequent first; rows without one are left out.

    Args:
        data: as for `resolve_inputs`; of several splits, train is looked at.
        label: the label's column.

    Raises:
        InputDataError: the table cannot be read, is empty, or has no such label column.
    """
    values = _sample(data, label)[label]
    counts = pc.value_counts((pa.nulls(0, pa.large_string()) if values is None else values).drop_null()).to_pylist()
    return {each["values"]: each["counts"] for each in sorted(counts, key=lambda each: -each["counts"])}
