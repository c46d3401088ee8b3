"""Metrics of labels that are one class out of several, with or without an order."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

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
    - `log_loss`: mean of -ln p(true class), natural logarithm, of a p of at least 1e-7;
    - `expected_calibration_error`: Guo et al. 2017, eq. 3, with 15 equal bins of the answer's probability;
    - `confusion_matrix`: counts, true class by predicted class, row-major; `classes`, their names in its order; and
      `calibration`: per bin the count, the mean probability and the accuracy, row-major.

    The predicted class is the one that is served. A row of a class that the model does not know, as an older version
    may not know a new one, is a row that it got wrong: the class has no probability, and stands among the other
    classes except in `auc` and in the matrix.
    """

    def __init__(self, classes: tuple[bytes, ...]):
        number = len(classes)
        self.classes = classes
        self.unknown: Counter[bytes] = Counter()
        self.taken_for = np.zeros(number, np.int64)  # rows of unknown classes, by the predicted class
        self.confusion = np.zeros((number, number), np.int64)
        self.scores = np.zeros((2, number, SCORE_BINS), np.int64)  # of other classes' rows, of own rows
        self.calibration = np.zeros((3, CALIBRATION_BINS))  # rows, sum of probabilities, rows that were right
        self.log_loss = 0.0

    def add(self, labels: list[Any], answer: Mapping[str, np.ndarray]) -> None:
        """Adds a row.

        Args:
            labels: the one class, bytes.
            answer: `label` bytes `()`, `probabilities` float `(classes,)`.
        """
        label, probabilities = (labels or [b""])[0], np.asarray(answer["probabilities"]).ravel()
        predicted = self.classes.index(np.asarray(answer["label"]).ravel().tolist()[0])
        own = np.zeros(len(self.classes), np.int64)
        if label in self.classes:
            truth = self.classes.index(label)
            own[truth] = 1
            self.confusion[truth, predicted] += 1
            of_truth = float(probabilities[truth])
        else:
            self.unknown[label] += 1
            self.taken_for[predicted] += 1
            of_truth = 0.0
        bins = np.minimum((probabilities * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
        self.scores[own, np.arange(len(self.classes)), bins] += 1
        confidence = float(probabilities[predicted])
        cell = min(int(confidence * CALIBRATION_BINS), CALIBRATION_BINS - 1)
        self.calibration[:, cell] += (1, confidence, own[predicted])
        self.log_loss -= float(np.log(max(of_truth, SMALLEST_PROBABILITY)))

    def merge(self, other: "ClassCounts") -> None:
        require_same(self.classes, other.classes)
        self.unknown += other.unknown
        self.taken_for += other.taken_for
        self.confusion += other.confusion
        self.scores += other.scores
        self.calibration += other.calibration
        self.log_loss += other.log_loss

    def metrics(self) -> dict[str, Any]:
        count, confidence, correct = self.calibration
        rows = count.sum()
        right = np.diag(self.confusion)
        said = self.confusion.sum(axis=0) + self.taken_for
        by_class = scores_by_class(right, said, self.confusion.sum(axis=1), self.unknown)
        return {
            "accuracy": float(right.sum() / rows),
            "macro_f1": mean_f1(by_class),
            "auc": mean_auc(self.scores),
            "log_loss": self.log_loss / float(rows),
            "expected_calibration_error": float(np.abs(confidence - correct).sum() / rows),
            "example_count": float(rows),
            "classes": np.array([name.decode() for name in self.classes], object),
            "confusion_matrix": self.confusion.astype(float).ravel(),
            "calibration": np.stack([count, ratio(confidence, count), ratio(correct, count)]).ravel(),
            **named(by_class, (*self.classes, *self.unknown)),
        }


def require_same(classes: tuple[bytes, ...], others: tuple[bytes, ...]) -> None:
    """Refuses to add up what belongs to different classes.

    Raises:
        ValueError: they are different.
    """
    if classes != others:
        raise ValueError("Two answers of one model name different classes, so they cannot be counted together.")


def scores_by_class(
    right: np.ndarray, said: np.ndarray, support: np.ndarray, unknown: Mapping[bytes, int]
) -> dict[str, np.ndarray]:
    """`precision`, `recall`, `f1` and `support`, float or int `(classes + unknown classes,)`.

    Args:
        right: rows of each class that were said to be of it, as the other two int `(classes,)`.
        said: rows that were said to be of it.
        support: rows that are of it.
        unknown: class that the model does not know → rows of it.
    """
    none = np.zeros(len(unknown), np.int64)
    right, said = np.concatenate([right, none]), np.concatenate([said, none])
    support = np.concatenate([support, np.array(list(unknown.values()), np.int64)])
    precision, recall = ratio(right, said), ratio(right, support)
    f1 = ratio(2 * precision * recall, precision + recall)
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def mean_f1(by_class: Mapping[str, np.ndarray]) -> float:
    """Plain mean over the classes that occur; 1 where none does."""
    occurs = by_class["support"] > 0
    return float(by_class["f1"][occurs].mean()) if occurs.any() else 1.0


def named(by_class: Mapping[str, np.ndarray], classes: tuple[bytes, ...]) -> dict[str, float]:
    """`<metric>/<class>` → value."""
    return {
        f"{metric}/{name.decode()}": float(value)
        for metric, values in by_class.items()
        for name, value in zip(classes, values, strict=True)
    }


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
    """The same where the classes are levels from the lowest to the highest, and, of rows whose level the model knows,

    - `mean_absolute_error`: by how many levels the answer is off, mean over rows;
    - `quadratic_weighted_kappa`: Cohen 1968, disagreements weighing as the square of the levels between them.
    """

    def metrics(self) -> dict[str, Any]:
        levels = np.arange(len(self.classes))
        apart = np.abs(levels[:, np.newaxis] - levels)
        rows = max(int(self.confusion.sum()), 1)
        by_chance = np.outer(self.confusion.sum(axis=1), self.confusion.sum(axis=0)) / rows
        expected = (apart**2 * by_chance).sum()
        return {
            **super().metrics(),
            "mean_absolute_error": float((apart * self.confusion).sum() / rows),
            "quadratic_weighted_kappa": float(1 - (apart**2 * self.confusion).sum() / expected) if expected else 1.0,
        }
