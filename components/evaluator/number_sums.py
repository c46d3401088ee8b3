"""Metrics of labels that are numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class NumberSums:
    """Sums over rows.

    - `mean_absolute_error`, `root_mean_squared_error`, and `mean_error`, the answer less the label, in its own unit;
    - `r_squared`: share of the label's variance that the answers explain; 0 is as good as always saying the mean;
    - `example_count`.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.sums = np.zeros(3)  # of errors, of their sizes, of their squares
        self.mean = self.squares = 0.0  # of the label: mean, and sum of squared distances from it

    def add(self, labels: list[Any], answer: Mapping[str, np.ndarray]) -> None:
        """Adds a row.

        Args:
            labels: the number.
            answer: `value` float `()`.

        Raises:
            ValueError: the row has no number.
        """
        if not labels:
            raise ValueError("A row to evaluate has no number as its label.")
        label = float(labels[0])
        error = float(np.asarray(answer["value"]).ravel()[0]) - label
        self.rows += 1
        self.sums += (error, abs(error), error**2)
        distance = label - self.mean  # Welford 1962
        self.mean += distance / self.rows
        self.squares += distance * (label - self.mean)

    def merge(self, other: "NumberSums") -> None:
        rows = self.rows + other.rows
        distance = other.mean - self.mean
        self.squares += other.squares + distance**2 * self.rows * other.rows / max(rows, 1)
        self.mean += distance * other.rows / max(rows, 1)
        self.rows = rows
        self.sums += other.sums

    def metrics(self) -> dict[str, Any]:
        error, size, square = (self.sums / self.rows).tolist()
        return {
            "mean_error": error,
            "mean_absolute_error": size,
            "root_mean_squared_error": square**0.5,
            "r_squared": 1 - self.sums[2] / self.squares if self.squares else float("nan"),
            "example_count": float(self.rows),
        }
