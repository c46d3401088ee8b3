"""Whether the attention that is shown is what the answer was read from."""

import json
import random
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.gates import Gate
from components.release_gate.options import DELETION_FILE, AttentionGate
from components.release_gate.sample import EXPLAINED, Answers, Model, Sample

TOLERANCE = 1e-3
_WORD = re.compile(r"\w+|[^\w\s]")
_RANDOM_DRAWS = 2
Word = tuple[str, str]
"""(feature, word)."""


def attention_gates(
    model: Model, sample: Sample, outputs: Mapping[str, np.ndarray], directory: Path, options: AttentionGate
) -> list[Gate]:
    """Makes the gates `attention/sum`, `attention/padding` and, where there are texts, `attention/faithful`.

    Faithful: deleting the words with most attention must change the probability of the predicted class more than
    deleting as many random ones (after the comprehensiveness of DeYoung et al. 2020, section 4, less that of chance).
    Of a number the change counts over the standard deviation of the answers. The first head that predicts
    classes is looked at, or the first.

    Args:
        model: the candidate.
        sample: the rows; in the first `options.rows` words are deleted.
        outputs: what the signature `explain` says of the rows.
        directory: gets `deletion.json`, the curve over the numbers of words.
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
        gates.append(_faithful(model, asked, first, directory, options))
    return gates


def _faithful(model: Model, sample: Sample, outputs, directory: Path, options: AttentionGate) -> Gate:
    name = "attention/faithful"
    answers = model.answers(outputs)
    head = next((each for each in answers if not answers[each].is_number), next(iter(answers)))
    ranked = [_ranked(sample, outputs, row) for row in range(sample.num_rows)]
    usable = [row for row, words in enumerate(ranked) if len(words) > min(options.words)]
    if not usable:
        why = "No row has words enough that one can be deleted and others stay, so it cannot be measured."
        return Gate(name, False, None, options.min, why, options.severity)
    curve = []
    by_row = np.zeros(sample.num_rows)
    for number in options.words:
        attended = _drop(model, sample, answers[head], head, [words[:number] for words in ranked])
        drawn = [
            [random.Random(f"{draw}/{row}").sample(words, min(number, len(words))) for row, words in enumerate(ranked)]
            for draw in range(_RANDOM_DRAWS)
        ]
        by_chance = np.mean([_drop(model, sample, answers[head], head, words) for words in drawn], axis=0)
        by_row += (attended - by_chance) / len(options.words)
        curve.append(
            {"words": number, "attended": attended[usable].mean().item(), "random": by_chance[usable].mean().item()}
        )
    text = json.dumps({"head": head, "rows": len(usable), "curve": curve}, indent=2)
    (directory / DELETION_FILE).write_text(text + "\n", encoding="utf-8")
    value = float(by_row[usable].mean())
    error = float(by_row[usable].std() / len(usable) ** 0.5)
    told = ", ".join(f"{each['words']}: {each['attended']:.3f} and {each['random']:.3f}" for each in curve)
    what = "the number" if answers[head].is_number else "the probability of the predicted class"
    why = (
        f"Deleting the most attended words moves {what} by {value:.3f} (± {error:.3f}) more than deleting random ones, "
        f"mean over {len(usable):,} rows ({told}); more than {options.min:g} is asked for."
    )
    best = sorted(usable, key=lambda row: by_row[row])[:2]
    rows = [
        f"{', '.join(word for _, word in ranked[row][:3])}: {by_row[row]:+.3f}: {sample.describe(row)}" for row in best
    ]
    return Gate(name, value > options.min, value, options.min, why, options.severity, rows)


def _drop(model: Model, sample: Sample, before: Answers, head: str, words: list[list[Word]]) -> np.ndarray:
    """How far deleting words of each row moves the answer: float `(rows,)`."""
    columns = {
        name: np.array([without(text, gone, name) for text, gone in zip(column, words, strict=True)], object)
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


def fold(word: str) -> str:
    """A word as vocabularies spell it: folded in case, and without accents."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", word).casefold())
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")


def _ranked(sample: Sample, outputs: Mapping[str, np.ndarray], row: int) -> list[Word]:
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
