"""All metrics of one head, named by class where it has classes, as one TFMA metric.

TFMA's own per-class metrics are asked for by class id when the pipeline is built; here the classes are learnt from the
data, so their names are first known when the model answers.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.constants import BASELINE_KEY
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.class_counts import ClassCounts, LevelCounts
from components.evaluator.label_counts import LabelCounts
from components.evaluator.number_sums import NumberSums

NAME = "head_report"
PARTS = ("label", "probabilities", "classes", "value")


class Counts(Protocol):
    """What is counted of the rows of a slice."""

    def add(self, labels: list[Any], answer: Mapping[str, np.ndarray]) -> None: ...
    def merge(self, other: Any) -> None: ...
    def metrics(self) -> dict[str, Any]: ...


class HeadReport(metric_types.Metric):
    """Computes, for every slice, the metrics that the counts of the head's type describe.

    It reads the head's label from the feature of its name, and from the prediction `label` bytes, `probabilities` float
    `(classes,)` and `classes` bytes `(classes,)`, or `value` float.

    Args:
        head: its name.
        head_type: `single_label`, `multi_label`, `ordinal` or `regression`.
        prefix: before the names of the outputs, and, with `/` for `_`, before those of the metrics.
        threshold: of `multi_label`.
    """

    def __init__(self, head: str, head_type: str, prefix: str = "", threshold: float = 0.5, name: str = NAME):
        super().__init__(
            metric_util.merge_per_key_computations(_computations),
            name=name,
            head=head,
            head_type=head_type,
            prefix=prefix,
            threshold=threshold,
        )


metric_types.register_metric(HeadReport)


def _computations(
    head: str,
    head_type: str,
    prefix: str,
    threshold: float,
    name: str = NAME,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
) -> metric_types.MetricComputations:
    def key(metric: str) -> metric_types.MetricKey:
        # Thresholds that stand in a MetricsSpec by name look for keys that say nothing about weights.
        return metric_types.MetricKey(
            name=f"{head}/{metric}" if prefix else metric,
            model_name=model_name,
            output_name=output_name,
            example_weighted=None,
        )

    return [
        metric_types.MetricComputation(
            keys=[key("example_count")],
            preprocessors=[metric_types.FeaturePreprocessor(feature_keys=[head])],
            combiner=_ReportCombineFn(model_name, head, head_type, prefix, threshold, key),
        )
    ]


class _ReportCombineFn(beam.CombineFn):
    def __init__(self, model_name: str, head: str, head_type: str, prefix: str, threshold: float, key: Any):
        self._model_name = model_name
        self._head = head
        self._head_type = head_type
        self._prefix = prefix
        self._threshold = threshold
        self._key = key

    def create_accumulator(self) -> Counts | None:
        return None

    def add_input(self, accumulator: Counts | None, element: metric_types.StandardMetricInputs) -> Counts:
        prediction = element.get_predictions(self._model_name)
        answer = {part: prediction[self._prefix + part] for part in PARTS if self._prefix + part in prediction}
        if accumulator is None:
            accumulator = self._counts(answer)
        label = (element.features or {}).get(self._head)
        accumulator.add([] if label is None else np.asarray(label).ravel().tolist(), answer)
        return accumulator

    def _counts(self, answer: Mapping[str, np.ndarray]) -> Counts:
        if self._head_type == "regression":
            return NumberSums()
        classes = tuple(np.asarray(answer["classes"]).ravel().tolist())
        if self._head_type == "multi_label":
            return LabelCounts(classes, self._threshold)
        return LevelCounts(classes) if self._head_type == "ordinal" else ClassCounts(classes)

    def merge_accumulators(self, accumulators: Iterable[Counts | None]) -> Counts | None:
        result: Counts | None = None
        for accumulator in accumulators:
            if accumulator is None:
                continue
            if result is None:
                result = copy.deepcopy(accumulator)
            else:
                result.merge(accumulator)
        return result

    def extract_output(self, accumulator: Counts | None) -> dict[metric_types.MetricKey, Any]:
        metrics = accumulator.metrics() if accumulator is not None else {}
        if self._model_name == BASELINE_KEY:
            # TFMA subtracts them from the candidate's, and the baseline may know other classes.
            metrics = {name: value for name, value in metrics.items() if not isinstance(value, np.ndarray)}
        return {self._key(name): value for name, value in metrics.items()}
