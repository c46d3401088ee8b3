"""Counters and histograms, and their text for Prometheus.

The original's exposition has no `_total` and starts names with a colon, which is why the text is written here.
"""

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping

LATENCY_BUCKETS = tuple(10 * 1.8**power for power in range(33))
"""Microseconds: `Buckets::Exponential(10, 1.8, 33)`, about 20 minutes at the end."""

_ILLEGAL_IN_NAME = re.compile(r"[^A-Za-z0-9_]")

Labels = tuple[tuple[str, str], ...]


class Counter:
    """Counts per label values."""

    kind = "counter"

    def __init__(self, name: str) -> None:
        self.name = _ILLEGAL_IN_NAME.sub(":", name)
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, count: int = 1, /, **labels: str) -> None:
        """Adds to the count of these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0) + count

    def has(self, **labels: str) -> bool:
        """Whether anything was counted under exactly these labels, in this order."""
        return tuple(labels.items()) in self._values

    def values_of(self, name: str, /, **labels: str) -> set[str]:
        """The values that a label has been counted under, together with these others."""
        with self._lock:
            found = [dict(key) for key in self._values]
        return {key[name] for key in found if labels.items() <= key.items()}

    def forget(self, **labels: str) -> None:
        """Drops all counts with these labels."""
        with self._lock:
            self._values = {key: value for key, value in self._values.items() if not _has(key, labels)}

    def lines(self) -> list[str]:
        """The samples in the text format of Prometheus."""
        with self._lock:
            return [f"{self.name}{{{_joined(labels)}}} {value}" for labels, value in sorted(self._values.items())]


class Histogram:
    """Distribution of a value per label values."""

    kind = "histogram"

    def __init__(self, name: str, buckets: tuple[float, ...] = LATENCY_BUCKETS) -> None:
        self.name = _ILLEGAL_IN_NAME.sub(":", name)
        self._buckets = buckets
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, /, **labels: str) -> None:
        """Adds one observation."""
        self.observe_many((value,), **labels)

    def observe_many(self, values: Iterable[float], /, **labels: str) -> None:
        """Adds several; those that are no number are left out."""
        key = tuple(labels.items())
        with self._lock:
            counts = self._counts.get(key)
            if counts is None:
                counts = self._counts[key] = [0] * (len(self._buckets) + 1)
            for value in values:
                if math.isfinite(value):
                    counts[bisect_left(self._buckets, value)] += 1
                    self._sums[key] = self._sums.get(key, 0.0) + value

    def forget(self, **labels: str) -> None:
        """Drops all observations with these labels."""
        with self._lock:
            for key in [key for key in self._counts if _has(key, labels)]:
                del self._counts[key]
                self._sums.pop(key, None)

    def lines(self) -> list[str]:
        """The samples in the text format of Prometheus."""
        lines = []
        with self._lock:
            for labels, counts in sorted(self._counts.items()):
                text, total = _joined(labels), 0
                for limit, count in zip((*self._buckets, float("inf")), counts, strict=True):
                    total += count
                    shown = "+Inf" if limit == float("inf") else f"{limit:.6g}"
                    lines.append(f'{self.name}_bucket{{{text},le="{shown}"}} {total}')
                lines.append(f"{self.name}_sum{{{text}}} {self._sums.get(labels, 0.0):.6g}")
                lines.append(f"{self.name}_count{{{text}}} {total}")
        return lines


Metric = Counter | Histogram


def page_of(metrics: Iterable[Metric]) -> str:
    """The text that Prometheus reads."""
    lines = []
    for metric in metrics:
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += metric.lines()
    return "\n".join(lines) + "\n"


def _has(key: Labels, labels: Mapping[str, str]) -> bool:
    return labels.items() <= dict(key).items()


def _joined(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
