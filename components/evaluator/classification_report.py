"""Metrics of a single-label classifier, named by class, as one TFMA metric.

TFMA's own per-class metrics are asked for by class id when the pipeline is built; here the classes are
learnt from the data, so their names are first known when the model answers. The predicted class is the
most probable one (not "above 0.5"), which is what `label` of the served signature says.
"""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

NAME = "classification_report"
SCALARS = ("accuracy", "macro_f1", "auc", "log_loss", "expected_calibration_error", "example_count")
PER_CLASS = ("precision", "recall", "f1", "support")
SCORE_BINS = 1000
CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = 1e-7


class ClassificationReport(metric_types.Metric):
    """Computes, for every slice:

    - `accuracy`, `example_count`;
    - `precision/<class>`, `recall/<class>`, `f1/<class>`, `support/<class>`, and `macro_f1`, their plain mean;
    - `auc`: one-vs-rest area under the ROC curve, mean over the classes that occur, from scores in
      1,000 equal bins (ties within a bin count half);
    - `log_loss`: mean of -ln p(true class), natural logarithm;
    - `expected_calibration_error`: Guo et al. 2017, eq. 3, with 15 equal bins of the winner's probability;
    - `confusion_matrix`: counts, true class by predicted class, row-major, and
      `calibration`: per bin the count, the mean probability and the accuracy, row-major.

    It reads bytes labels and a prediction with `probabilities` float `(classes,)` and `classes` bytes `(classes,)`.
    """

    def __init__(self, name: str = NAME):
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


metric_types.register_metric(ClassificationReport)


def _computations(
    name: str = NAME,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
) -> metric_types.MetricComputations:
    def key(metric: str) -> metric_types.MetricKey:
        # Thresholds that stand in a MetricsSpec by name look for keys that say nothing about weights.
        return metric_types.MetricKey(
            name=metric, model_name=model_name, output_name=output_name, example_weighted=None
        )

    return [
        metric_types.MetricComputation(
            keys=[key(metric) for metric in SCALARS],
            preprocessors=None,
            combiner=_ReportCombineFn(model_name, key),
        )
    ]


class _Counts:
    """Counts over rows; all arrays are per class in the order of the model's `classes`."""

    def __init__(self, classes: tuple[bytes, ...]):
        number = len(classes)
        self.classes = classes
        self.confusion = np.zeros((number, number), np.int64)
        self.scores = np.zeros((2, number, SCORE_BINS), np.int64)  # of other classes' rows, of own rows
        self.calibration = np.zeros((3, CALIBRATION_BINS))  # rows, sum of probabilities, rows that were right
        self.log_loss = 0.0

    def add(self, label: bytes, probabilities: np.ndarray) -> None:
        try:
            truth = self.classes.index(label)
        except ValueError:
            raise ValueError(
                f"A row to evaluate has a label that the model does not know. Received: {label!r}; "
                f"the model's classes: {[name.decode() for name in self.classes[:20]]}."
            ) from None
        predicted = int(np.argmax(probabilities))
        confidence = float(probabilities[predicted])
        self.confusion[truth, predicted] += 1
        bins = np.minimum((probabilities * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
        own = np.zeros(len(self.classes), np.int64)
        own[truth] = 1
        self.scores[own, np.arange(len(self.classes)), bins] += 1
        cell = min(int(confidence * CALIBRATION_BINS), CALIBRATION_BINS - 1)
        self.calibration[:, cell] += (1, confidence, predicted == truth)
        self.log_loss -= float(np.log(max(float(probabilities[truth]), SMALLEST_PROBABILITY)))

    def merge(self, other: "_Counts") -> None:
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
        precision = _ratio(right, self.confusion.sum(axis=0))
        recall = _ratio(right, support)
        f1 = _ratio(2 * precision * recall, precision + recall)
        count, confidence, correct = self.calibration
        result: dict[str, Any] = {
            "accuracy": float(right.sum() / rows),
            "macro_f1": float(f1[support > 0].mean()),
            "auc": self._auc(),
            "log_loss": self.log_loss / float(rows),
            "expected_calibration_error": float(np.abs(confidence - correct).sum() / rows),
            "example_count": float(rows),
            "confusion_matrix": self.confusion.astype(float).ravel(),
            "calibration": np.stack([count, _ratio(confidence, count), _ratio(correct, count)]).ravel(),
        }
        for metric, values in zip(PER_CLASS, (precision, recall, f1, support), strict=True):
            for name, value in zip(self.classes, values, strict=True):
                result[f"{metric}/{name.decode()}"] = float(value)
        return result

    def _auc(self) -> float:
        negatives, positives = self.scores
        below = np.cumsum(negatives, axis=1) - negatives
        wins = (positives * (below + negatives / 2)).sum(axis=1)
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return float((wins[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else float("nan")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Element-wise `part / whole`; 0 where `whole` is 0, as scikit-learn has it."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole != 0)


class _ReportCombineFn(beam.CombineFn):
    def __init__(self, model_name: str, key: Any):
        self._model_name = model_name
        self._key = key

    def create_accumulator(self) -> _Counts | None:
        return None

    def add_input(self, accumulator: _Counts | None, element: metric_types.StandardMetricInputs) -> _Counts:
        prediction = element.get_predictions(self._model_name)
        if accumulator is None:
            accumulator = _Counts(tuple(np.asarray(prediction["classes"]).ravel().tolist()))
        label = np.asarray(element.get_labels(self._model_name)).ravel().tolist()[0]
        accumulator.add(label, np.asarray(prediction["probabilities"]).ravel())
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Counts | None]) -> _Counts | None:
        result: _Counts | None = None
        for accumulator in accumulators:
            if accumulator is None:
                continue
            if result is None:
                result = _Counts(accumulator.classes)
            result.merge(accumulator)
        return result

    def extract_output(self, accumulator: _Counts | None) -> dict[metric_types.MetricKey, Any]:
        metrics = accumulator.metrics() if accumulator is not None else {}
        return {self._key(name): value for name, value in metrics.items()}
