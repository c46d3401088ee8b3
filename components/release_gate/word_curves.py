"""What the first words of several orders do to the answers: deletion and insertion curves."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.release_gate.shapley import shap_orders
from components.release_gate.word_questions import Word, WordQuestions, only

OCCLUDED_WORDS = 30
_RANDOM_DRAWS = 2


@dataclass(frozen=True)
class Curve:
    """How far the answers move, by number of words and row.

    Attributes:
        order: of the words: attention, random, occlusion or shap.
        deleted: float `(numbers, rows)`, without the first words (the comprehensiveness of DeYoung et al. 2020).
        inserted: float `(numbers, rows)`, with them alone (their sufficiency).
    """

    order: str
    deleted: np.ndarray
    inserted: np.ndarray

    @property
    def rows(self) -> int:
        return self.deleted.shape[1]

    def first(self, rows: int) -> "Curve":
        """Of the first rows."""
        return Curve(self.order, self.deleted[:, :rows], self.inserted[:, :rows])


def attention_curve(questions: WordQuestions, rows: Sequence[int], numbers: Sequence[int]) -> Curve:
    """Of the most attended words."""
    return _curve("attention", questions, rows, [questions.words[row] for row in rows], numbers)


def random_curve(questions: WordQuestions, rows: Sequence[int], numbers: Sequence[int]) -> Curve:
    """Of random words, the same in equal runs; mean of two draws."""
    drawn = []
    for draw in range(_RANDOM_DRAWS):
        orders = []
        for row in rows:
            orders.append(random.Random(f"{draw}/{row}").sample(questions.words[row], len(questions.words[row])))
        drawn.append(_curve("random", questions, rows, orders, numbers))
    deleted, inserted = (np.mean([getattr(each, part) for each in drawn], axis=0) for part in ("deleted", "inserted"))
    return Curve("random", deleted, inserted)


def occlusion_curve(questions: WordQuestions, rows: Sequence[int], numbers: Sequence[int]) -> Curve:
    """Of the words whose deletion alone moves the answer most, of the 30 most attended of a row."""
    return _curve("occlusion", questions, rows, _occluded(questions, rows), numbers)


def shap_curve(questions: WordQuestions, rows: Sequence[int], numbers: Sequence[int]) -> Curve:
    """Of the words with the greatest SHAP values, of the 30 most attended of a row."""
    return _curve("shap", questions, rows, shap_orders(questions, rows), numbers)


def _curve(
    order: str, questions: WordQuestions, rows: Sequence[int], words: Sequence[Sequence[Word]], numbers: Sequence[int]
) -> Curve:
    repeated = list(rows) * len(numbers)
    first = [each[:number] for number in numbers for each in words]
    shape = len(numbers), len(rows)
    deleted, inserted = questions.gains(repeated, first), questions.gains(repeated, first, only)
    return Curve(order, np.abs(deleted).reshape(shape), np.abs(inserted).reshape(shape))


def _occluded(questions: WordQuestions, rows: Sequence[int]) -> list[list[Word]]:
    pairs = [(row, word) for row in rows for word in questions.words[row][:OCCLUDED_WORDS]]
    moved = np.abs(questions.gains([row for row, _ in pairs], [[word] for _, word in pairs]))
    by_row: dict[int, list[tuple[float, Word]]] = {row: [] for row in rows}
    for (row, word), value in zip(pairs, moved.tolist(), strict=True):
        by_row[row].append((-value, word))
    return [[word for _, word in sorted(words)] for words in by_row.values()]
