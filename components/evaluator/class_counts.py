"""Metrics of labels that are one class out of several, with or without an order."""

from collections.abc import Mapping
from typing import Any

import numpy as np

PER_CLASS = ("precision", "recall", "f1", "support")
SCORE_BINS = 1000
CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = 1e-7


class ClassCounts:
    """Counts over rows with one class each; all arrays are per class in the order of the model's `classes`.

    The metrics:

    - `accuracy`, `example_count`;
    - `precision/<class>`, `recall/<class>`, `f1/<class>`, `support/<class>`, and `macro_f1`, the plain mean over the
      classes that occur;
    - `auc`: one-vs-rest area under the ROC curve, mean over the classes that occur, from scores in
      1,000 equal bins (ties within a bin count half);
    - `log_loss`: mean of -ln p(true class), natural logarithm;
    - `expected_calibration_error`: Guo et al. 2017, eq. 3, with 15 equal bins of the answer's probability;
    - `confusion_matrix`: counts, true class by predicted class, row-major, and
      `calibration`: per bin the count, the mean probability and the accuracy, row-major.

    The predicted class is the one that is served.
    """

    def __init__(self, classes: tuple[bytes, ...]):
        number = len(classes)
        self.classes = classes
        self.confusion = np.zeros((number, number), np.int64)
        self.scores = np.zeros((2, number, SCORE_BINS), np.int64)  # of other classes' rows, of own rows
        self.calibration = np.zeros((3, CALIBRATION_BINS))  # rows, sum of probabilities, rows that were right
        self.log_loss = 0.0

    def add(self, labels: list[Any], answer: Mapping[str, np.ndarray]) -> None:
        """Adds a row.

        Args:
            labels: the one class, bytes.
            answer: `label` bytes `()`, `probabilities` float `(classes,)`.

        Raises:
            ValueError: the model does not know the class.
        """
        label, probabilities = (labels or [b""])[0], np.asarray(answer["probabilities"]).ravel()
        try:
            truth = self.classes.index(label)
        except ValueError:
            raise ValueError(
                f"A row to evaluate has a label that the model does not know. Received: {label!r}; "
                f"the model's classes: {[name.decode() for name in self.classes[:20]]}."
            ) from None
        predicted = self.classes.index(np.asarray(answer["label"]).ravel().tolist()[0])
        confidence = float(probabilities[predicted])
        self.confusion[truth, predicted] += 1
        bins = np.minimum((probabilities * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
        own = np.zeros(len(self.classes), np.int64)
        own[truth] = 1
        self.scores[own, np.arange(len(self.classes)), bins] += 1
        cell = min(int(confidence * CALIBRATION_BINS), CALIBRATION_BINS - 1)
        self.calibration[:, cell] += (1, confidence, predicted == truth)
        self.log_loss -= float(np.log(max(float(probabilities[truth]), SMALLEST_PROBABILITY)))

    def merge(self, other: "ClassCounts") -> None:
        if self.classes != other.classes:
            raise ValueError("Two answers of one model name different classes, so they cannot be counted together.")
        self.confusion += other.confusion
        self.scores += other.scores
        self.calibration += other.calibration
        self.log_loss += other.log_loss

    def metrics(self) -> dict[str, Any]:
        rows = self.confusion.sum()
        right = np.diag(self.confusion)
        support = self.confusion.sum(axis=1)
        precision = ratio(right, self.confusion.sum(axis=0))
        recall = ratio(right, support)
        f1 = ratio(2 * precision * recall, precision + recall)
        count, confidence, correct = self.calibration
        result: dict[str, Any] = {
            "accuracy": float(right.sum() / rows),
            "macro_f1": float(f1[support > 0].mean()),
            "auc": mean_auc(self.scores),
            "log_loss": self.log_loss / float(rows),
            "expected_calibration_error": float(np.abs(confidence - correct).sum() / rows),
            "example_count": float(rows),
            "confusion_matrix": self.confusion.astype(float).ravel(),
            "calibration": np.stack([count, ratio(confidence, count), ratio(correct, count)]).ravel(),
        }
        for metric, values in zip(PER_CLASS, (precision, recall, f1, support), strict=True):
            for name, value in zip(self.classes, values, strict=True):
                result[f"{metric}/{name.decode()}"] = float(value)
        return result


def mean_auc(scores: np.ndarray) -> float:
    """Area under the ROC curve, mean over the classes that hold in some rows and not in others.

    Args:
        scores: int `(2, classes, bins)`; rows by the bin of their score, other classes' rows first, then own rows.
    """
    negatives, positives = scores
    below = np.cumsum(negatives, axis=1) - negatives
    wins = (positives * (below + negatives / 2)).sum(axis=1)
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return float((wins[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else float("nan")


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Element-wise `part / whole`; 0 where `whole` is 0, as scikit-learn has it."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole != 0)


class LevelCounts(ClassCounts):
    """The same where the classes are levels from the lowest to the highest, and

    - `mean_absolute_error`: by how many levels the answer is off, mean over rows;
    - `quadratic_weighted_kappa`: Cohen 1968, disagreements weighing as the square of the levels between them.
    """

    def metrics(self) -> dict[str, Any]:
        levels = np.arange(len(self.classes))
        apart = np.abs(levels[:, np.newaxis] - levels)
        rows = self.confusion.sum()
        by_chance = np.outer(self.confusion.sum(axis=1), self.confusion.sum(axis=0)) / rows
        expected = (apart**2 * by_chance).sum()
        return {
            **super().metrics(),
            "mean_absolute_error": float((apart * self.confusion).sum() / rows),
            "quadratic_weighted_kappa": float(1 - (apart**2 * self.confusion).sum() / expected) if expected else 1.0,
        }
