"""What a version answered to rows of its own test split: with this its answers in service are compared."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

ANSWERS_FILE = "answers.json"
UNKNOWN_TOKEN = b"[UNK]"
NO_LABEL = b"(none)"
CONFIDENCE_BINS = 100
"""Equal ones from 0 to 1: finer than any server's, so that they can be added up to its own."""

QUANTILES = 201


class HeadAnswers(BaseModel):
    """Of one head that answers classes."""

    model_config = ConfigDict(frozen=True)

    labels: dict[str, int]
    """Label → rows that have it."""
    confidences: list[int]
    """Labels by their probability, of which each bin holds its upper end; see `CONFIDENCE_BINS`."""


class NumberAnswers(BaseModel):
    """Of one head that answers numbers."""

    model_config = ConfigDict(frozen=True)

    quantiles: list[float]
    """`QUANTILES` of them, from the least to the greatest answer, in equal steps."""


class AnswerRecord(BaseModel):
    """Counts over the rows that the ReleaseGate asked."""

    model_config = ConfigDict(frozen=True)

    rows: int
    heads: dict[str, HeadAnswers]
    numbers: dict[str, NumberAnswers] = {}
    tokens: int
    unknown_tokens: int

    def write(self, directory: Path) -> None:
        """Writes the record into an artifact's directory."""
        (directory / ANSWERS_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def read(directory: Path) -> "AnswerRecord | None":
        """Reads what `write` wrote; None where there is no record.

        Raises:
            ValueError: the file is not a record.
        """
        try:
            return AnswerRecord.model_validate_json((directory / ANSWERS_FILE).read_bytes())
        except FileNotFoundError:
            return None


def head_answers(labels: Iterable[bytes], confidences: np.ndarray) -> HeadAnswers:
    """Counts what a head answers.

    Args:
        labels: of all rows; where a row may have several or none, each, or `NO_LABEL`.
        confidences: float `(labels,)`; of `NO_LABEL` that none holds.
    """
    finite = confidences[np.isfinite(confidences)]
    places = np.clip(np.ceil(np.round(finite * CONFIDENCE_BINS, 6)).astype(int) - 1, 0, CONFIDENCE_BINS - 1)
    return HeadAnswers(
        labels=dict(Counter(label.decode("utf-8", "replace") for label in labels)),
        confidences=np.bincount(places, minlength=CONFIDENCE_BINS).tolist(),
    )


def several_answers(classes: Sequence[bytes], scores: np.ndarray, threshold: float) -> HeadAnswers:
    """Counts what a head answers that gives any number of classes, as the server counts it.

    Args:
        classes: their names.
        scores: float `(rows, classes)`.
        threshold: the least score of a class that holds.
    """
    held = scores >= threshold
    none = scores[~held.any(axis=1)]
    labels = [classes[int(place)] for place in held.nonzero()[1]] + [NO_LABEL] * len(none)
    return head_answers(labels, np.concatenate([scores[held], 1 - none.max(axis=1, initial=0.0)]))


def number_answers(values: np.ndarray) -> NumberAnswers:
    """Sums up what a head answers that predicts a number.

    Args:
        values: float `(rows,)`, one row at least.
    """
    finite = values[np.isfinite(values)]
    return NumberAnswers(quantiles=np.quantile(finite, np.linspace(0, 1, QUANTILES)).tolist() if len(finite) else [])
