"""Whether the attention that is shown is what the answer was read from."""

import json
import random
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from components.gates import Gate
from components.release_gate.options import DELETION_FILE, AttentionGate
from components.release_gate.sample import EXPLAINED, Answers, Model, Sample

TOLERANCE = 1e-3
_WORD = re.compile(r"\w+|[^\w\s]")
OCCLUDED_WORDS = 30
INSERTION_SLACK = 0.05
"""A few random words alone leave the model with the usual answer, which most rows have: being as near is no fault."""
_RANDOM_DRAWS = 2
Word = tuple[str, str]
"""(feature, word)."""
Change = Callable[[bytes, list[Word], str], bytes]
"""Of a text by some words and the feature's name."""


def attention_gates(
    model: Model, sample: Sample, outputs: Mapping[str, np.ndarray], directory: Path, options: AttentionGate
) -> list[Gate]:
    """Makes the gates `attention/sum`, `attention/padding` and, where there are texts, `attention/faithful` and
    `attention/insertion`.

    Faithful: deleting the words with most attention must change the probability of the predicted class more than
    deleting as many random ones (after the comprehensiveness of DeYoung et al. 2020, section 4, less that of chance).
    Insertion, which is their sufficiency: with those words alone the answer must stay nearer than with random ones
    alone. Beside it stands what deletion can do: that of the words which alone move the answer most (occlusion).
    Of a number the change counts over the standard deviation of the answers. The first head that predicts
    classes is looked at, or the first.

    Args:
        model: the candidate.
        sample: the rows; in the first `options.rows` words are deleted.
        outputs: what the signature `explain` says of the rows.
        directory: gets `deletion.json`, the curves over the numbers of words.
        options: limits.

    Raises:
        QuestionError: the model does not answer.
    """
    if not set(outputs) >= EXPLAINED:
        return [Gate("attention/sum", False, None, None, "The signature `explain` answers without attention.")]
    attention, features = outputs["attention"].astype(float), outputs["token_features"]
    off = float(np.abs(attention.sum(axis=1) - 1).max())
    why = f"Over {sample.num_rows:,} rows the attention of a row sums to 1 within {off:.2g}; allowed is {TOLERANCE:g}."
    gates = [Gate("attention/sum", off <= TOLERANCE, off, TOLERANCE, why)]
    on_padding = float(np.abs(attention[features == b""]).max(initial=0))
    why = f"The greatest attention on padding is {on_padding:.2g}; allowed is {TOLERANCE:g}."
    gates.append(Gate("attention/padding", on_padding <= TOLERANCE, on_padding, TOLERANCE, why))
    if sample.texts:
        asked = sample.first(options.rows)
        first = {alias: array[: asked.num_rows] for alias, array in outputs.items()}
        gates += _faithful(model, asked, first, directory, options)
    return gates


def _faithful(model: Model, sample: Sample, outputs, directory: Path, options: AttentionGate) -> list[Gate]:
    name = "attention/faithful"
    answers = model.answers(outputs)
    head = next((each for each in answers if not answers[each].is_number), next(iter(answers)))
    ranked = [ranked_words(sample, outputs, row) for row in range(sample.num_rows)]
    usable = [row for row, words in enumerate(ranked) if len(words) > min(options.words)]
    if not usable:
        why = "No row has words enough that one can be deleted and others stay, so it cannot be measured."
        return [Gate(name, False, None, options.min, why, options.severity)]
    curve = []
    by_row, inserted = np.zeros(sample.num_rows), np.zeros(sample.num_rows)
    occluded = _occluded(model, sample.first(options.occlusion_rows), answers[head], head, ranked)
    few = [row for row in usable if row < len(occluded)]
    for number in options.words:
        attended = _drop(model, sample, answers[head], head, [words[:number] for words in ranked])
        drawn = [
            [random.Random(f"{draw}/{row}").sample(words, min(number, len(words))) for row, words in enumerate(ranked)]
            for draw in range(_RANDOM_DRAWS)
        ]
        by_chance = np.mean([_drop(model, sample, answers[head], head, words) for words in drawn], axis=0)
        by_row += (attended - by_chance) / len(options.words)
        kept = _drop(model, sample, answers[head], head, [words[:number] for words in ranked], change=only)
        kept_by_chance = _drop(model, sample, answers[head], head, drawn[0], change=only)
        inserted += (kept_by_chance - kept) / len(options.words)
        point = {"words": number, "attended": attended[usable].mean().item(), "random": by_chance[usable].mean().item()}
        point |= {"inserted": kept[usable].mean().item(), "inserted_random": kept_by_chance[usable].mean().item()}
        if few:
            part, own = sample.first(len(occluded)), answers[head].take(slice(len(occluded)))
            for key, order in (("occlusion", occluded), ("attended_beside", ranked[: len(occluded)])):
                point[key] = _drop(model, part, own, head, [words[:number] for words in order])[few].mean().item()
        curve.append(point)
    text = json.dumps({"head": head, "rows": len(usable), "occlusion_rows": len(few), "curve": curve}, indent=2)
    (directory / DELETION_FILE).write_text(text + "\n", encoding="utf-8")
    value = float(by_row[usable].mean())
    error = float(by_row[usable].std() / len(usable) ** 0.5)
    told = ", ".join(f"{each['words']}: {each['attended']:.3f} and {each['random']:.3f}" for each in curve)
    what = "the number" if answers[head].is_number else "the probability of the predicted class"
    why = (
        f"Deleting the most attended words moves {what} by {value:.3f} (± {error:.3f}) more than deleting random ones, "
        f"mean over {len(usable):,} rows ({told}); more than {options.min:g} is asked for."
    )
    if few:
        most, beside = (float(np.mean([each[key] for each in curve])) for key in ("occlusion", "attended_beside"))
        why += f" On {len(few):,} rows it moves by {beside:.3f}, and by {most:.3f} for the words found by occlusion."
    best = sorted(usable, key=lambda row: by_row[row])[:2]
    rows = [
        f"{', '.join(word for _, word in ranked[row][:3])}: {by_row[row]:+.3f}: {sample.describe(row)}" for row in best
    ]
    gates = [Gate(name, value > options.min, value, options.min, why, options.severity, rows)]
    value, error = float(inserted[usable].mean()), float(inserted[usable].std() / len(usable) ** 0.5)
    least = options.min - INSERTION_SLACK
    near, far = (float(np.mean([each[key] for each in curve])) for key in ("inserted", "inserted_random"))
    why = (
        f"With the most attended words alone {what} is {near:.3f} off, with as many random ones alone {far:.3f}, mean "
        f"over {len(usable):,} rows and {', '.join(map(str, options.words))} words; {value:+.3f} (± {error:.3f}) "
        f"between them; more than {least:g} is asked for, within twice that error."
    )
    passed = value + 2 * error > least
    return [*gates, Gate("attention/insertion", passed, value, least, why, options.severity)]


def _occluded(model: Model, sample: Sample, before: Answers, head: str, ranked: list[list[Word]]) -> list[list[Word]]:
    """The words of each row, that first whose deletion alone moves the answer most; of the 30 most attended."""
    pairs = [(row, word) for row in range(sample.num_rows) for word in ranked[row][:OCCLUDED_WORDS]]
    if not pairs:
        return []
    rows = np.array([row for row, _ in pairs])
    repeated = replace(sample, columns={name: column[rows] for name, column in sample.columns.items()})
    moved = _drop(model, repeated, before.take(rows), head, [[word] for _, word in pairs])
    by_row: list[list[tuple[float, Word]]] = [[] for _ in range(sample.num_rows)]
    for (row, word), value in zip(pairs, moved.tolist(), strict=True):
        by_row[row].append((-value, word))
    return [[word for _, word in sorted(words)] for words in by_row]


def _drop(
    model: Model, sample: Sample, before: Answers, head: str, words: list[list[Word]], change: Change | None = None
) -> np.ndarray:
    """How far deleting words of each row, or another change by them, moves the answer: float `(rows,)`."""
    change = change or without
    columns = {
        name: np.array([change(text, some, name) for text, some in zip(column, words, strict=True)], object)
        if name in sample.texts
        else column
        for name, column in sample.columns.items()
    }
    after = model.answers(model.outputs(columns)[0])[head]
    if before.is_number:
        return np.abs(after.scores[:, 0] - before.scores[:, 0]) / (before.scores[:, 0].std() or 1.0)
    places = {name: place for place, name in enumerate(before.classes)}
    if before.head.type == "multi_label":
        said = before.scores.argmax(axis=1)
    else:
        said = np.array([places[label] for label in before.labels])
    rows = np.arange(len(said))
    return np.abs(before.scores[rows, said] - after.scores[rows, said])


def without(text: bytes, words: list[Word], feature: str) -> bytes:
    """A text without all occurrences of some words."""
    gone = {word for name, word in words if name == feature}
    return _WORD.sub(lambda match: "" if fold(match.group()) in gone else match.group(), text.decode()).encode()


def only(text: bytes, words: list[Word], feature: str) -> bytes:
    """A text without all other words."""
    kept = {word for name, word in words if name == feature}
    return _WORD.sub(lambda match: match.group() if fold(match.group()) in kept else "", text.decode()).encode()


def fold(word: str) -> str:
    """A word as vocabularies spell it: folded in case, and without accents."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", word).casefold())
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")


def ranked_words(sample: Sample, outputs: Mapping[str, np.ndarray], row: int) -> list[Word]:
    """The different words of a row's texts, most attended first; what stands in no text by its name is left out."""
    there = {name: {fold(word) for word in _WORD.findall(sample.columns[name][row].decode())} for name in sample.texts}
    weights: dict[Word, float] = {}
    last: tuple[str, list[str], float] = ("", [], 0.0)
    pieces: list[tuple[str, list[str], float]] = []
    for token, feature, weight in zip(
        outputs["tokens"][row], outputs["token_features"][row], outputs["attention"][row], strict=True
    ):
        name, piece = feature.decode(), token.decode()
        if piece.startswith("##") and pieces and pieces[-1][0] == name:
            last = pieces.pop()
            pieces.append((name, [*last[1], piece[2:]], last[2] + float(weight)))
        else:
            pieces.append((name, [piece], float(weight)))
    for name, parts, weight in pieces:
        word = (name, fold("".join(parts)))
        if name in there and word[1] in there[name]:
            weights[word] = weights.get(word, 0.0) + weight
    return sorted(weights, key=lambda word: (-weights[word], word))
