"""Features that give the label away: what a single one predicts, learnt on train, measured on the other splits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_gate.report import shorten
from components.data_gate.table import Table
from components.data_gate.words import Words, words_of
from components.example_gen.split import normalize
from components.gates import Gate
from components.schema_gen.options import ValidationOptions

BINS = 64
NEARLY_PERFECT = 0.95
FAR_ABOVE = 3.0
SHOWN_VALUES = 3
_MAX_CLASSES = 100
_SMOOTHING = 2.0
_MIN_ROWS_WITH_WORD = 5
_ROWS_AT_ONCE = 20_000
"""What is done with all texts at once leaves several times as much memory behind as they take."""


@dataclass(frozen=True)
class Rule:
    """What one feature says of the label.

    Attributes:
        value: share of the label's uncertainty that it takes away on rows not learnt from: 0 nothing, 1 all.
        examples: what it says, in words.
    """

    value: float
    examples: list[str]


def leak_gates(
    train: Table, others: list[Table], types: Mapping[str, str], labels: Mapping[str, str], options: ValidationOptions
) -> list[Gate]:
    """Makes a gate `leak/<feature>` of each feature, of which the label that it tells most about counts.

    Of classes the value is 1 - H(label | feature) / H(label) in cross-entropies; of numbers the same with squared
    errors. The rule is the distribution of the label by value, by one of 64 ranges of a number, or by whether a text
    has the one word that tells most. A feature gives the label away if it is above `validation.max_leak` and three
    times as high as the median of all others, or nearly perfect.

    Args:
        train: rows to learn from.
        others: rows to measure on.
        types: the features.
        labels: label name → `category`, `categories` or `number`.
        options: limit, allowance for noise, and severity.
    """
    rows = sum(table.num_rows for table in others)
    severity = options.severity.leaks
    if not rows or not train.num_rows:
        why = "There are no rows of train or none of another split, so it cannot be measured."
        return [Gate("leak", False, None, options.max_leak, why, severity)]

    def column(name: str) -> pa.Array:
        return pa.concat_arrays([table.columns[name] for table in (train, *others)])

    learn = np.arange(train.num_rows + rows) < train.num_rows
    found: dict[str, tuple[Rule, str]] = {}
    for label, kind in labels.items():
        target = Target(column(label), kind, learn)
        for name, feature_type in types.items():
            rule = _best_rule(name, column(name), feature_type, target, label)
            if name not in found or rule.value > found[name][0].value:
                found[name] = (rule, label)
    gates = []
    for name, (rule, label) in found.items():
        rest = [other.value for key, (other, _) in found.items() if key != name]
        usual = float(np.median(rest)) if rest else NEARLY_PERFECT
        limit = min(max(options.max_leak + options.noise_allowance / rows**0.5, FAR_ABOVE * usual), NEARLY_PERFECT)
        why = (
            f"`{name}` alone takes away {rule.value:.1%} of the uncertainty about `{label}` on {rows:,} rows that it "
            f"was not learnt from; allowed is {limit:.1%}"
        )
        passed = rule.value <= limit
        if not passed:
            why += (
                f" (the median of the other features is {usual:.1%}): {rule.examples[0]}. If it is not known before "
                "the label, leave it out or make it `type: passthrough`; if it is, raise `validation.max_leak`"
            )
        gates.append(Gate(f"leak/{name}", passed, rule.value, limit, f"{why}.", severity, rule.examples))
    return gates


class Target:
    """A label over the rows of train and then those of the others.

    Args:
        column: string or double `(rows,)`.
        kind: `category`, `categories` or `number`.
        learn: bool `(rows,)`: which to learn from.
    """

    def __init__(self, column: pa.Array, kind: str, learn: np.ndarray):
        self.learn = learn
        self.names: list[str] = []
        if kind == "number":
            numbers = pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False)
            self.values = np.nan_to_num(numbers)[:, np.newaxis]
        else:
            encoded = pc.fill_null(column, "").dictionary_encode()
            codes = encoded.indices.to_numpy()
            most = np.argsort(-np.bincount(codes[learn], minlength=len(encoded.dictionary)), kind="stable")
            place = np.empty(len(most), np.int64)
            place[most] = np.minimum(np.arange(len(most)), _MAX_CLASSES)
            self.values = np.eye(min(len(most), _MAX_CLASSES + 1))[place[codes]]
            self.names = encoded.dictionary.take(pa.array(most[:_MAX_CLASSES])).to_pylist()
        self.prior = self.values[learn].mean(axis=0)

    def taken_away(self, codes: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Learns the rule of one feature and measures it.

        Args:
            codes: int64 `(rows,)`, the feature's value.

        Returns:
            the share of uncertainty that it takes away; float `(codes, classes)`, the rule (of a number `(codes, 1)`,
            its mean); int64 `(codes,)`, the rows of train by code.
        """
        number = int(codes.max()) + 1
        counts = np.bincount(codes[self.learn], minlength=number)
        sums = np.stack(
            [np.bincount(codes[self.learn], weights=each, minlength=number) for each in self.values[self.learn].T],
            axis=1,
        )
        rule = (sums + _SMOOTHING * self.prior) / (counts[:, np.newaxis] + _SMOOTHING)
        truth, said = self.values[~self.learn], rule[codes[~self.learn]]
        if self.names:
            before = -np.log(np.maximum((truth * self.prior).sum(axis=1), 1e-6)).sum()
            after = -np.log(np.maximum((truth * said).sum(axis=1), 1e-6)).sum()
        else:
            before, after = ((truth - self.prior) ** 2).sum(), ((truth - said) ** 2).sum()
        return float(1 - after / before) if before > 0 else 0.0, rule, counts

    def words(self, rule: np.ndarray) -> str:
        """What a rule says of one value."""
        if not self.names:
            return f"{rule[0]:.4g} on average"
        best = int(rule.argmax())
        name = repr(shorten(self.names[best], 30)) if best < len(self.names) else "one of the rarest"
        return f"{name} in {rule[best]:.1%}"


def _best_rule(name: str, column: pa.Array, kind: str, target: Target, label: str) -> Rule:
    if kind == "number":
        codes, values = _bins(column, target.learn)
        return _rule(name, codes, values, target, label)
    rule = _value_rule(name, column, target, label)
    if kind != "text":
        return rule
    by_word = _word_rule(name, column, target, label)
    return max(rule, by_word, key=lambda each: each.value)


def _value_rule(name: str, column: pa.Array, target: Target, label: str) -> Rule:
    starts = range(0, len(column), _ROWS_AT_ONCE)
    parts = [pc.fill_null(normalize(column.slice(start, _ROWS_AT_ONCE)), "") for start in starts]
    encoded = pa.concat_arrays(parts).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    return _rule(name, codes, lambda code: repr(shorten(encoded.dictionary[code].as_py(), 30)), target, label)


def _rule(name, codes, value_of, target: Target, label: str, relation: str = "is") -> Rule:
    value, rule, counts = target.taken_away(codes)

    def words(code: int) -> str:
        says = f"`{label}` is {target.words(rule[code])} of {counts[code]:,} rows"
        return f"where `{name}` {relation} {value_of(code)}, {says}"

    shown = [int(code) for code in np.argsort(-counts, kind="stable")[:SHOWN_VALUES] if counts[code]]
    return Rule(value, [words(code) for code in shown])


def _bins(column: pa.Array, learn: np.ndarray):
    """A number's value where it has few, else the range that it is in; missing is a value of its own."""
    numbers = pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False)
    known = np.unique(numbers[learn & ~np.isnan(numbers)])
    if len(known) <= BINS:
        codes = np.searchsorted(known, numbers)
        codes = np.where(np.isin(numbers, known), codes, len(known))
        names = [f"{each:g}" for each in known] + ["missing or new"]
    else:
        edges = np.unique(np.quantile(numbers[learn & ~np.isnan(numbers)], np.linspace(0, 1, BINS + 1)[1:-1]))
        codes = np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, "right"))
        lows = ["below", *(f"{edge:g}" for edge in edges)]
        names = [f"{low} to {high}" for low, high in zip(lows, [*lows[1:], "above"], strict=True)] + ["missing"]
    return codes.astype(np.int64), names.__getitem__


def _word_rule(name: str, column: pa.Array, target: Target, label: str) -> Rule:
    """The one word whose presence tells most of the label, by mutual information in train."""
    (words,) = words_of([column])
    number = len(words.vocabulary)
    if not number:
        return Rule(0.0, [f"`{name}` has no word"])
    rows, ids = _words_in_rows(words)
    learnt = target.learn[rows]
    total = float(target.learn.sum())
    of_row, of_word = rows[learnt], ids[learnt]
    each_class = [np.bincount(of_word, weights=each[of_row], minlength=number) for each in target.values.T]
    has = np.stack(each_class, axis=1)
    count = np.bincount(of_word, minlength=number)
    if target.names:
        gain = _information(has, count, target.prior * total, total)
    else:  # variance between rows with and without the word
        overall, inverse = target.prior[0], 1 / np.maximum(count, 1) + 1 / np.maximum(total - count, 1)
        gain = (has[:, 0] - count * overall) ** 2 * inverse
    gain[count < _MIN_ROWS_WITH_WORD] = -1
    best = int(gain.argmax())
    codes = np.zeros(len(target.learn), np.int64)
    codes[rows[ids == best]] = 1
    word = words.vocabulary[best].as_py()
    return (
        _rule(name, codes, lambda code: f"{'the' if code else 'not the'} word {word!r}", target, label, "has")
        if count[best]
        else Rule(0.0, [name])
    )


def _words_in_rows(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Which word stands in which row, each once: int32 `(pairs,)` of rows, ascending, and of words."""
    number, texts = len(words.vocabulary), len(words.lengths)
    parts = []
    for start in range(0, texts, _ROWS_AT_ONCE):
        part = words.part(start, min(start + _ROWS_AT_ONCE, texts))
        pairs = np.unique(part.rows * number + part.ids)
        parts.append(np.stack([pairs // number + start, pairs % number]).astype(np.int32))
    rows, ids = np.concatenate(parts, axis=1)
    return rows, ids


def _information(has: np.ndarray, count: np.ndarray, classes: np.ndarray, total: float) -> np.ndarray:
    """Mutual information of the label and each word's presence, in nats: float `(words,)`."""
    gain = np.zeros(len(count))
    for present, sizes in ((has, count), (classes - has, total - count)):
        expected = sizes[:, np.newaxis] * classes / total
        safe = np.where((present > 0) & (expected > 0), present / np.where(expected > 0, expected, 1), 1.0)
        gain += (present * np.log(safe)).sum(axis=1) / total
    return gain
