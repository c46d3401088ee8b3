"""SHAP values of a row's words, by the package `shap`, which the extra of that name brings."""

import os
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from components.release_gate.word_questions import Word, WordQuestions

PERMUTATIONS = 5
"""Of the words of a row, each there and back (Lundberg and Lee 2017): exact where words act alone or two together."""
MOST_WORDS = 30
"""The most attended of a row; the others stay where they are."""


def shap_orders(questions: WordQuestions, rows: Sequence[int]) -> list[list[Word]]:
    """The words of each row, that first which speaks most for what was said; of a number, which moves it most."""
    values = [_values(questions, row, questions.words[row][:MOST_WORDS]) for row in rows]
    if questions.is_number:
        values = [{word: abs(value) for word, value in of_row.items()} for of_row in values]
    return [sorted(of_row, key=lambda word: (-of_row[word], word)) for of_row in values]


def _values(questions: WordQuestions, row: int, words: Sequence[Word]) -> dict[Word, float]:
    shap = _shap()

    def said(masks: np.ndarray) -> np.ndarray:
        deleted = [[word for word, stays in zip(words, mask, strict=True) if not stays] for mask in masks]
        return questions.gains([row] * len(masks), deleted)

    asked = 2 * len(words) + 1
    explainer = shap.explainers.Permutation(said, shap.maskers.Independent(np.zeros((1, len(words)))), seed=0)
    explained = explainer(np.ones((1, len(words))), max_evals=PERMUTATIONS * asked, batch_size=asked, silent=True)
    return dict(zip(words, explained.values[0].tolist(), strict=True))


def _shap() -> ModuleType:
    # numba compiles for 20 s what Python does in milliseconds.
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    import shap

    return shap
