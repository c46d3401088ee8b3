"""Counters and latencies under the names of the original, and beside them per version and signature.

The original's exposition has no `_total` and starts names with a colon, which is why the text is written here.
"""

import re
import threading
from bisect import bisect_left

_LATENCY_BUCKETS = tuple(10 * 1.8**power for power in range(33))
"""Microseconds: `Buckets::Exponential(10, 1.8, 33)`, about 20 minutes at the end."""

_QUEUING_BUCKETS = tuple(100 * 1.2**power for power in range(52))
"""Microseconds: `Buckets::Exponential(100, 1.2, 52)`, about a second at the end."""

_ROW_BUCKETS = tuple(float(2**power) for power in range(11))

_ILLEGAL_IN_NAME = re.compile(r"[^A-Za-z0-9_]")

Labels = tuple[tuple[str, str], ...]


class Counter:
    """Counts per label values."""

    kind = "counter"

    def __init__(self, name: str) -> None:
        self.name = _ILLEGAL_IN_NAME.sub(":", name)
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, **labels: str) -> None:
        """Adds one to the count of these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0) + 1

    def lines(self) -> list[str]:
        """The samples in the text format of Prometheus."""
        with self._lock:
            return [f"{self.name}{{{_joined(labels)}}} {value}" for labels, value in sorted(self._values.items())]


class Histogram:
    """Distribution of a value per label values."""

    kind = "histogram"

    def __init__(self, name: str, buckets: tuple[float, ...] = _LATENCY_BUCKETS) -> None:
        self.name = _ILLEGAL_IN_NAME.sub(":", name)
        self._buckets = buckets
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, value: float, **labels: str) -> None:
        """Adds one observation."""
        key = tuple(labels.items())
        with self._lock:
            counts = self._counts.setdefault(key, [0] * (len(self._buckets) + 1))
            counts[bisect_left(self._buckets, value)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

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
                lines.append(f"{self.name}_sum{{{text}}} {self._sums[labels]:.6g}")
                lines.append(f"{self.name}_count{{{text}}} {total}")
        return lines


class ServingMetrics:
    """Everything that the monitoring page shows."""

    def __init__(self) -> None:
        self.request_count = Counter("/tensorflow/serving/request_count")
        self.request_latency = Histogram("/tensorflow/serving/request_latency")
        self.runtime_latency = Histogram("/tensorflow/serving/runtime_latency")
        self.queuing_latency = Histogram("/tensorflow/serving/batching_session/queuing_latency", _QUEUING_BUCKETS)
        self.batch_size = Histogram("/attention/serving/batch_size", _ROW_BUCKETS)
        self.version_request_count = Counter("/attention/serving/request_count")
        self.version_request_latency = Histogram("/attention/serving/request_latency")

    def record(self, model_name: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts one call under the names of the original."""
        self.request_count.add(model_name=model_name, status=status)
        self.request_latency.observe(seconds * 1e6, model_name=model_name, API=api, entrypoint=entrypoint)

    def record_version(self, model_name: str, version: int, signature: str, status: str, seconds: float) -> None:
        """Counts one call by the version and signature that answered it."""
        labels = {"model_name": model_name, "version": str(version), "signature": signature}
        self.version_request_count.add(**labels, status=status)
        if status == "OK":
            self.version_request_latency.observe(seconds * 1e6, **labels)

    def record_runtime(self, model_name: str, api: str, seconds: float) -> None:
        """Notes the time of one Session::Run."""
        self.runtime_latency.observe(seconds * 1e6, model_name=model_name, API=api, runtime="TF1")

    def record_queuing(self, thread_pool_name: str, seconds: float) -> None:
        """Notes how long a request waited for its batch."""
        self.queuing_latency.observe(seconds * 1e6, thread_pool_name=thread_pool_name)

    def record_batch(self, model_name: str, version: int, rows: int) -> None:
        """Notes the rows of one batch, without those that only fill it up."""
        self.batch_size.observe(rows, model_name=model_name, version=str(version))

    def page(self) -> str:
        """The whole page in the text format of Prometheus."""
        lines = []
        for metric in vars(self).values():
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += metric.lines()
        return "\n".join(lines) + "\n"


def _joined(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
