"""Metrics of labels that are any number of classes at once."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from components.evaluator.class_counts import (
    SCORE_BINS,
    SMALLEST_PROBABILITY,
    mean_auc,
    mean_f1,
    named,
    require_same,
    scores_by_class,
)


class LabelCounts:
    """Counts over rows; all arrays are per class in the order of the model's `classes`.

    - `subset_accuracy`: share of rows with exactly the right classes; `example_count`;
    - `hamming_loss`: share of all verdicts, one a class and row, that are wrong;
    - `micro_f1`: of all verdicts together; `macro_f1`: plain mean over the classes that occur; and
      `precision/<class>`, `recall/<class>`, `f1/<class>`, `support/<class>`;
    - `auc`: mean over the classes of the area under the ROC curve, from scores in 1,000 equal bins;
    - `log_loss`: mean over rows and classes of -ln p(what is true), of a p of at least 1e-7.

    A class that the model does not know, as an older version may not know a new one, has no probability: where it
    holds, one more verdict is wrong. `auc` leaves it out.

    Args:
        classes: names, bytes.
        threshold: least probability of a class that is said to hold.
    """

    def __init__(self, classes: tuple[bytes, ...], threshold: float):
        number = len(classes)
        self.classes = classes
        self.threshold = threshold
        self.rows = self.exact = 0
        self.log_loss = 0.0
        self.unknown: Counter[bytes] = Counter()
        self.verdicts = np.zeros((2, 2, number), np.int64)  # by what is true, by what is said
        self.scores = np.zeros((2, number, SCORE_BINS), np.int64)

    def add(self, labels: list[Any], answer: Mapping[str, np.ndarray]) -> None:
        """Adds a row.

        Args:
            labels: the classes that hold, bytes.
            answer: `probabilities` float `(classes,)`.
        """
        probabilities = np.asarray(answer["probabilities"], np.float64).ravel()
        unknown = sorted(set(labels) - set(self.classes))
        places = np.arange(len(self.classes))
        truth = np.array([name in labels for name in self.classes], int)
        said = (probabilities >= self.threshold).astype(int)
        self.rows += 1
        self.exact += int((truth == said).all() and not unknown)
        self.unknown.update(unknown)
        self.verdicts[truth, said, places] += 1
        self.scores[truth, places, np.minimum((probabilities * SCORE_BINS).astype(int), SCORE_BINS - 1)] += 1
        of_truth = np.concatenate([np.where(truth == 1, probabilities, 1 - probabilities), np.zeros(len(unknown))])
        self.log_loss -= float(np.log(np.maximum(of_truth, SMALLEST_PROBABILITY)).mean())

    def merge(self, other: "LabelCounts") -> None:
        require_same(self.classes, other.classes)
        self.rows += other.rows
        self.exact += other.exact
        self.log_loss += other.log_loss
        self.unknown += other.unknown
        self.verdicts += other.verdicts
        self.scores += other.scores

    def metrics(self) -> dict[str, Any]:
        (_, false_positives), (false_negatives, right) = self.verdicts
        by_class = scores_by_class(right, right + false_positives, right + false_negatives, self.unknown)
        missed = self.unknown.total()
        wrong = int(false_positives.sum() + false_negatives.sum()) + missed
        both = 2 * int(right.sum())
        return {
            "subset_accuracy": self.exact / self.rows,
            "hamming_loss": wrong / (self.rows * len(self.classes) + missed),
            "micro_f1": both / (both + wrong) if both + wrong else 1.0,
            "macro_f1": mean_f1(by_class),
            "auc": mean_auc(self.scores),
            "log_loss": self.log_loss / self.rows,
            "example_count": float(self.rows),
            **named(by_class, (*self.classes, *self.unknown)),
        }
