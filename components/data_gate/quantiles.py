"""How a number is distributed, from its quantiles, and bins that two distributions have in common."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList as Statistics
from tensorflow_metadata.proto.v0.statistics_pb2 import Histogram


class Quantiles(NamedTuple):
    """A cumulative distribution, linear between its quantiles.

    Attributes:
        values: float64 `(knots,)`, ascending.
        up_to: float64 `(knots,)`: how many values are not greater than each.
        ends: float64 `(bins,)`: where bins may end.
    """

    values: np.ndarray
    up_to: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, histogram: Histogram) -> "Quantiles":
        """Reads TFDV's quantiles.

        A bucket holds what is greater than its lower and not greater than its higher value. A value with which several
        buckets end is one that many rows have. The greatest value ends a bin only if it is such a one: how far the
        last few reach is chance.
        """
        highs, places, buckets = np.unique(
            [each.high_value for each in histogram.buckets], return_inverse=True, return_counts=True
        )
        up_to = np.cumsum(np.bincount(places, [each.sample_count for each in histogram.buckets]))
        lows = np.concatenate([[histogram.buckets[0].low_value], highs[:-1]])
        frequent = (buckets > 1) | (lows == highs)
        starts = np.where(frequent, np.nextafter(highs, -math.inf), lows)
        return cls(
            np.stack([starts, highs], axis=1).ravel(),
            np.stack([np.concatenate([[0.0], up_to[:-1]]), up_to], axis=1).ravel(),
            highs[frequent | (highs < highs[-1])],
        )

    def counts(self, ends: np.ndarray) -> np.ndarray:
        """How many values lie in each bin.

        Args:
            ends: float64 `(bins,)`, ascending; an end belongs to its bin.

        Returns:
            float64 `(bins + 1,)`; the last bin has no end.
        """
        return np.diff(np.interp(ends, self.values, self.up_to), prepend=0.0, append=self.up_to[-1])


def quantiles_of(statistics: Statistics) -> dict[str, Quantiles]:
    """Feature → its quantiles, for all numbers of which there are any."""
    return {
        feature.path.step[0]: Quantiles.of(histogram)
        for feature in statistics.datasets[0].features
        for histogram in feature.num_stats.histograms
        if histogram.type == histogram.QUANTILES and histogram.buckets
    }


def shared_ends(distributions: Iterable[Quantiles]) -> np.ndarray:
    """Where the bins of several distributions end, some ten for each: float64 `(bins,)`, ascending."""
    return np.unique(np.concatenate([each.ends for each in distributions]))
