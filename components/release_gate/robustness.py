"""What harmless changes do: to a text, and of the other rows in a batch."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from components.data_gate.report import shorten
from components.gates import Gate
from components.release_gate.options import RobustnessGates
from components.release_gate.sample import Answers, Model, Sample

_PUNCTUATION = re.compile(r"[^\w\s]")
_LONG_TEXT = b"zyxwvutsrqponm " * 300
_RATE = 0.1
_ASKED_ALONE = 50


def swap_letters(text: str, chance: random.Random) -> str:
    """Swaps two neighbouring letters inside every tenth word of four letters or more."""

    def swap(match: re.Match) -> str:
        word = match.group()
        if chance.random() >= _RATE:
            return word
        at = chance.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return re.sub(r"\w{4,}", swap, text)


def drop_words(text: str, chance: random.Random) -> str:
    """Leaves every tenth word out."""
    return " ".join(word for word in text.split() if chance.random() >= _RATE)


def cut_in_half(text: str, chance: random.Random) -> str:
    """Keeps the first half of the words."""
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])


def swap_synonyms(groups: Sequence[Sequence[str]], text: str, chance: random.Random) -> str:
    """Puts another word of its group in the place of each word that has one; a capital stays one.

    Args:
        groups: words that mean the same, in lower case.
        text: to change.
        chance: chooses.
    """
    others = {word: [other for other in group if other != word] for group in groups for word in group}

    def swap(match: re.Match) -> str:
        word = match.group()
        if word.lower() not in others:
            return word
        other = chance.choice(others[word.lower()])
        return other.capitalize() if word[0].isupper() else other

    return re.sub(r"\w+", swap, text)


Changes = Mapping[str, Callable[[str, random.Random], str]]
CHANGES: Changes = {
    "typos": swap_letters,
    "case": lambda text, chance: text.upper(),
    "punctuation": lambda text, chance: _PUNCTUATION.sub(" ", text),
    "word_drop": drop_words,
    "truncation": cut_in_half,
}


def robustness_gates(
    model: Model, sample: Sample, options: RobustnessGates, synonyms: Sequence[Sequence[str]] = ()
) -> list[Gate]:
    """Makes the gates `robustness/<change>`, of which the head that suffers most counts; none where nothing is a text.

    Args:
        model: the candidate.
        sample: the rows; the first `options.rows` are changed.
        options: limits.
        synonyms: groups of words that mean the same; without them there is no `robustness/synonyms`.

    Raises:
        QuestionError: the model does not answer.
    """
    sample = sample.first(options.rows)
    if not sample.texts:
        return []
    before = model.answers(model.outputs(sample.columns))
    gates = []
    changes: Changes = {**CHANGES, "synonyms": partial(swap_synonyms, synonyms)} if synonyms else CHANGES
    for change in changes:
        columns = changed(sample, change, changes)
        if change == "synonyms" and all((columns[name] == sample.columns[name]).all() for name in sample.texts):
            why = f"synonyms: none of the words given stands in {sample.num_rows:,} rows, so it cannot be measured."
            gates.append(Gate("robustness/synonyms", False, None, options.min, why, options.severity))
            continue
        after = model.answers(model.outputs(columns))
        kept = {head: _kept(sample, head, before[head], after[head]) for head in before}
        head = min(kept, key=lambda name: kept[name][0])
        value, was, now, what, worse = kept[head]
        of_head = f" of `{head}`" if len(kept) > 1 else ""
        why = (
            f"{change}: {what}{of_head} goes from {was:.4g} to {now:.4g} on {sample.num_rows:,} rows, {value:.1%} is "
            f"kept; at least {options.min:.1%} is asked for."
        )
        text = sample.texts[0]
        rows = [f"{_short(sample.columns[text][at])} → {_short(columns[text][at])}" for at in worse]
        gates.append(
            Gate(f"robustness/{change}", value >= options.min, value, options.min, why, options.severity, rows)
        )
    return gates


def changed(sample: Sample, change: str, changes: Changes = CHANGES) -> dict[str, np.ndarray]:
    """All texts of the rows changed; equal rows are changed in the same way in every run."""
    columns = dict(sample.columns)
    for name in sample.texts:
        columns[name] = np.array(
            [
                changes[change](text.decode(), random.Random(f"{change}/{name}/{row}")).encode()
                for row, text in enumerate(sample.columns[name])
            ],
            object,
        )
    return columns


def right(sample: Sample, head: str, answers: Answers) -> np.ndarray:
    """Float `(rows,)`: 1 where the label is right, of several classes the share of verdicts that are; of a number the
    error."""
    truth = sample.labels[head]
    if answers.is_number:
        return np.abs(answers.scores[:, 0] - np.array(truth, float))
    if answers.head.type == "multi_label":
        holds = np.array([[name in row for name in answers.classes] for row in truth])
        return (holds == (answers.scores >= answers.head.threshold)).mean(axis=1)
    return (answers.labels == np.array(truth, object)).astype(float)


def _kept(sample: Sample, head: str, before: Answers, after: Answers):
    """(share kept, before, after, of what, rows that got worse)."""
    was, now = right(sample, head, before), right(sample, head, after)
    old, new = float(was.mean()), float(now.mean())
    if before.is_number:
        worse = np.argsort(was - now, kind="stable")[:2]
        return (old / new if new else 1.0), old, new, "the mean error", worse
    worse = np.flatnonzero(was > now)[:2]
    return (new / old if old else 1.0), old, new, "accuracy", worse


def invariance_gates(model: Model, sample: Sample, options: RobustnessGates) -> list[Gate]:
    """Makes the gates `invariance/batch_order` and `invariance/padding`: other rows of a batch must not count.

    Args:
        model: the candidate.
        sample: the rows.
        options: the tolerance.

    Raises:
        QuestionError: the model does not answer.
    """
    part = sample.first(_ASKED_ALONE)
    rows = np.arange(part.num_rows)
    together = model.outputs(part.columns, batches=[rows])
    backwards = model.outputs(part.columns, batches=[rows[::-1]])
    alone = model.outputs(part.columns, batches=[rows[at : at + 1] for at in rows])
    beside_long = {
        name: np.append(column, np.array([_LONG_TEXT], object)) if name in part.texts else np.append(column, column[:1])
        for name, column in part.columns.items()
    }
    padded = model.outputs(beside_long, batches=[np.arange(part.num_rows + 1)])
    reordered = _difference(together, {name: array[::-1] for name, array in backwards.items()})
    padding = max(
        _difference(together, alone), _difference(together, {name: array[:-1] for name, array in padded.items()})
    )
    gates = []
    for name, value, what in (
        ("batch_order", reordered, "in the opposite order"),
        ("padding", padding, "alone, together, and beside a very long text"),
    ):
        why = f"{part.num_rows:,} rows, asked {what}, get numbers that differ by at most {value:.2g}"
        why += f"; allowed is {options.tolerance:g}."
        gates.append(Gate(f"invariance/{name}", value <= options.tolerance, value, options.tolerance, why))
    return gates


def _difference(these: Mapping[str, np.ndarray], those: Mapping[str, np.ndarray]) -> float:
    """Greatest difference of a number; NaN on one side is infinitely far."""
    found = 0.0
    for name, array in these.items():
        if np.issubdtype(array.dtype, np.floating):
            apart = np.abs(array.astype(float) - those[name].astype(float))
            found = max(found, float(np.nan_to_num(apart, nan=np.inf).max(initial=0)))
    return found


def _short(text: bytes) -> str:
    return repr(shorten(text.decode("utf-8", "replace"), 60))
