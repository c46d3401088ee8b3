"""Whether the attention that is shown is what the answer was read from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from components.gates import Gate
from components.release_gate.options import DELETION_FILE, AttentionGate
from components.release_gate.sample import EXPLAINED, Model, Sample
from components.release_gate.word_curves import Curve, attention_curve, occlusion_curve, random_curve, shap_curve
from components.release_gate.word_questions import WordQuestions

TOLERANCE = 1e-3
INSERTION_SLACK = 0.05
"""A few random words alone leave the model with the usual answer, which most rows have: being as near is no fault."""


def attention_gates(
    model: Model, sample: Sample, outputs: Mapping[str, np.ndarray], directory: Path, options: AttentionGate
) -> list[Gate]:
    """Makes the gates `attention/sum`, `attention/padding` and, where there are texts, `attention/faithful` and
    `attention/insertion`.

    Faithful: deleting the words with most attention must change the probability of the predicted class more than
    deleting as many random ones (after the comprehensiveness of DeYoung et al. 2020, section 4, less that of chance).
    Insertion, which is their sufficiency: with those words alone the answer must stay nearer than with random ones
    alone. Beside it stands what deletion can do: that of the words which alone move the answer most (occlusion), and of
    those with the greatest SHAP values.
    Of a number the change counts over the standard deviation of the answers. The first head that predicts
    classes is looked at, or the first.

    Args:
        model: the candidate.
        sample: the rows; in the first `options.rows` words are deleted.
        outputs: what the signature `explain` says of the rows.
        directory: gets `deletion.json`, the curves over the numbers of words, mean over the rows.
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
        gates += _word_gates(WordQuestions(model, asked, first), asked, directory, options)
    return gates


def _word_gates(questions: WordQuestions, sample: Sample, directory: Path, options: AttentionGate) -> list[Gate]:
    usable = [row for row, words in enumerate(questions.words) if len(words) > min(options.words)]
    if not usable:
        why = "No row has words enough that one can be deleted and others stay, so it cannot be measured."
        return [Gate("attention/faithful", False, None, options.min, why, options.severity)]
    attended = attention_curve(questions, usable, options.words)
    by_chance = random_curve(questions, usable, options.words)
    beside = []
    if few := [row for row in usable if row < options.occlusion_rows]:
        beside = [attended.first(len(few)), occlusion_curve(questions, few, options.words)]
    by_shap = []
    if fewer := [row for row in usable if row < options.shap_rows]:
        own = [attended.first(len(fewer))] if len(fewer) not in (len(few), len(usable)) else []
        by_shap = [*own, shap_curve(questions, fewer, options.words)]
    _write(directory / DELETION_FILE, questions, options.words, [attended, by_chance, *beside, *by_shap])
    what = "the number" if questions.is_number else "the probability of the predicted class"
    return [
        _faithful(questions, sample, usable, attended, by_chance, beside, what, options),
        _insertion(attended, by_chance, what, options),
    ]


def _faithful(
    questions: WordQuestions,
    sample: Sample,
    usable: Sequence[int],
    attended: Curve,
    by_chance: Curve,
    beside: Sequence[Curve],
    what: str,
    options: AttentionGate,
) -> Gate:
    by_row = (attended.deleted - by_chance.deleted).mean(axis=0)
    value, error = _mean_and_error(by_row)
    told = ", ".join(
        f"{number}: {ours.mean():.3f} and {chance.mean():.3f}"
        for number, ours, chance in zip(options.words, attended.deleted, by_chance.deleted, strict=True)
    )
    why = (
        f"Deleting the most attended words moves {what} by {value:.3f} (± {error:.3f}) more than deleting random ones, "
        f"mean over {attended.rows:,} rows ({told}); more than {options.min:g} is asked for."
    )
    if beside:
        own, best = (each.deleted.mean() for each in beside)
        why += f" On {beside[0].rows:,} rows it moves by {own:.3f}, and by {best:.3f} for the words found by occlusion."
    rows = []
    for place in np.argsort(by_row, kind="stable")[:2].tolist():
        words = ", ".join(word for _, word in questions.words[usable[place]][:3])
        rows.append(f"{words}: {by_row[place]:+.3f}: {sample.describe(usable[place])}")
    return Gate("attention/faithful", value > options.min, value, options.min, why, options.severity, rows)


def _insertion(attended: Curve, by_chance: Curve, what: str, options: AttentionGate) -> Gate:
    value, error = _mean_and_error((by_chance.inserted - attended.inserted).mean(axis=0))
    least = options.min - INSERTION_SLACK
    why = (
        f"With the most attended words alone {what} is {attended.inserted.mean():.3f} off, with as many random ones "
        f"alone {by_chance.inserted.mean():.3f}, mean over {attended.rows:,} rows and "
        f"{', '.join(map(str, options.words))} words; {value:+.3f} (± {error:.3f}) between them; more than {least:g} "
        f"is asked for, within twice that error."
    )
    return Gate("attention/insertion", value + 2 * error > least, value, least, why, options.severity)


def _mean_and_error(by_row: np.ndarray) -> tuple[float, float]:
    return float(by_row.mean()), float(by_row.std() / len(by_row) ** 0.5)


def _write(path: Path, questions: WordQuestions, numbers: Sequence[int], curves: Sequence[Curve]) -> None:
    told = [
        {
            "order": curve.order,
            "rows": curve.rows,
            "deleted": curve.deleted.mean(axis=1).tolist(),
            "inserted": curve.inserted.mean(axis=1).tolist(),
        }
        for curve in curves
    ]
    known = {"head": questions.head, "is_number": questions.is_number, "words": list(numbers), "curves": told}
    path.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
