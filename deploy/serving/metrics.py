"""Counters and latencies under the names of the original, and beside them per version and signature."""

from collections.abc import Iterable

from deploy.serving.answer_metrics import AnswerMetrics
from deploy.serving.metric_types import Counter, Histogram, Metric, page_of

_QUEUING_BUCKETS = tuple(100 * 1.2**power for power in range(52))
"""Microseconds: `Buckets::Exponential(100, 1.2, 52)`, about a second at the end."""

_ROW_BUCKETS = tuple(float(2**power) for power in range(11))


class ServingMetrics:
    """Everything that the monitoring page shows."""

    def __init__(self) -> None:
        self.request_count = Counter("/tensorflow/serving/request_count")
        self.request_latency = Histogram("/tensorflow/serving/request_latency")
        self.runtime_latency = Histogram("/tensorflow/serving/runtime_latency")
        self.queuing_latency = Histogram("/tensorflow/serving/batching_session/queuing_latency", _QUEUING_BUCKETS)
        self.batch_size = Histogram("/attention/serving/batch_size", _ROW_BUCKETS)
        self.answers = AnswerMetrics()
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

    def page(self, gone: Iterable[tuple[str, int]] = ()) -> str:
        """The whole page in the text format of Prometheus.

        Args:
            gone: Models and versions that answer no more: they are shown once more, with their last counts.
        """
        of_versions: list[Metric] = [
            self.batch_size,
            self.version_request_count,
            self.version_request_latency,
            *self.answers.metrics(),
        ]
        text = page_of(
            [self.request_count, self.request_latency, self.runtime_latency, self.queuing_latency, *of_versions]
        )
        for model_name, version in gone:
            for metric in of_versions:
                metric.forget(model_name=model_name, version=str(version))
        return text
