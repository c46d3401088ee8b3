"""Metrics of rows under weights, all resamples at once: what noise in the choice of rows may do to a difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.release_gate.sample import Answers

RESAMPLES = 1000
_SCORE_BINS = 15
_SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True)
class Noise:
    """How far a difference on the whole split may be off by chance: from `low` below its value to `high` above."""

    low: float
    high: float
    rows: int
    confidence: float

    def around(self, value: float) -> tuple[float, float]:
        """Between which two values it lies but for chance."""
        return value - self.low, value + self.high


def metrics_of(truth: Sequence[Any], answers: Answers, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics that `components.evaluator` describes, by the same names.

    Args:
        truth: the labels.
        answers: to the same rows.
        weights: float `(resamples, rows)`: how often each row counts.

    Returns:
        metric → float `(resamples,)`.
    """
    if answers.is_number:
        return _of_numbers(np.array(truth, np.float64), answers.scores[:, 0], weights)
    places = {name: place for place, name in enumerate(answers.classes)}
    if answers.head.type == "multi_label":
        holds = np.array([[name in row for name in answers.classes] for row in truth], float)
        return _of_several(holds, answers, weights)
    true = np.array([places.get(label, -1) for label in truth])
    said = np.array([places[label] for label in answers.labels])
    number, total = len(places), weights.sum(axis=1)
    right = (true == said).astype(float)
    own = np.where(true >= 0, answers.scores[np.arange(len(true)), true], 0.0)
    result = {
        "accuracy": weights @ right / total,
        "log_loss": weights @ -np.log(np.maximum(own, _SMALLEST_PROBABILITY)) / total,
        "expected_calibration_error": _calibration_error(right, answers.confidence, weights),
    }
    is_true, is_said = np.eye(number + 1)[true][:, :number], np.eye(number)[said]
    support, by_class = weights @ is_true, _by_class(weights, is_true, is_said)
    result["macro_f1"] = _mean_where(by_class["f1"], support > 0)
    result["auc"] = _auc(is_true, answers.scores, weights)
    result["example_count"] = total
    by_class["support"] = support
    result |= {
        f"{metric}/{name.decode()}": values[:, place]
        for metric, values in by_class.items()
        for name, place in places.items()
    }
    if answers.head.type == "ordinal":
        apart = np.abs(true - said).astype(float)
        squared = np.square(np.arange(number)[:, np.newaxis] - np.arange(number))
        by_chance = np.einsum("bi,ij,bj->b", support, squared, weights @ is_said) / total
        result["mean_absolute_error"] = weights @ apart / total
        result["quadratic_weighted_kappa"] = 1 - _ratio(weights @ apart**2, by_chance)
    return result


def noise_of(
    truth: Sequence[Any], candidate: Answers, live: Answers, split_rows: int, confidence: float
) -> dict[str, Noise]:
    """The paired bootstrap (Efron and Tibshirani 1993, chapter 13) of the candidate's metrics less the live version's.

    The rows are a part of the split. Standard errors fall with the root of the number of rows, so the spread that is
    found here is that of the whole split times the root of the share.

    Args:
        truth: labels of the rows that both answered.
        candidate: its answers.
        live: the live version's.
        split_rows: rows of the whole split, on which the difference was measured.
        confidence: e.g. 0.95.

    Returns:
        metric → noise.
    """
    if len(truth) < 2:
        return {}
    weights = _resamples(len(truth))
    ours, theirs = metrics_of(truth, candidate, weights), metrics_of(truth, live, weights)
    differences = {name: ours[name] - theirs[name] for name in ours.keys() & theirs.keys()}
    return _spread(differences, len(truth), split_rows, confidence)


def noise_of_values(truth: Sequence[Any], candidate: Answers, split_rows: int, confidence: float) -> dict[str, Noise]:
    """The bootstrap of the candidate's metrics themselves; as `noise_of`."""
    if len(truth) < 2:
        return {}
    return _spread(metrics_of(truth, candidate, _resamples(len(truth))), len(truth), split_rows, confidence)


def _resamples(rows: int) -> np.ndarray:
    return np.random.default_rng(0).multinomial(rows, np.full(rows, 1 / rows), RESAMPLES).astype(float)


def _spread(resampled: Mapping[str, np.ndarray], rows: int, split_rows: int, confidence: float) -> dict[str, Noise]:
    tail = (1 - confidence) / 2
    shrink = (rows / max(split_rows, rows)) ** 0.5
    result = {}
    for name, values in resampled.items():
        finite = values[np.isfinite(values)]
        if len(finite) < RESAMPLES / 2:
            continue
        low, middle, high = np.quantile(finite, [tail, 0.5, 1 - tail])
        result[name] = Noise(float((middle - low) * shrink), float((high - middle) * shrink), rows, confidence)
    return result


def noise_of_mean(differences: np.ndarray, confidence: float) -> Noise:
    """The same of a mean of paired differences, over the rows themselves.

    Args:
        differences: float `(rows,)`.
        confidence: e.g. 0.95.
    """
    rows = len(differences)
    weights = np.random.default_rng(0).multinomial(rows, np.full(rows, 1 / rows), RESAMPLES)
    tail = (1 - confidence) / 2
    low, middle, high = np.quantile(weights @ differences / rows, [tail, 0.5, 1 - tail])
    return Noise(float(middle - low), float(high - middle), rows, confidence)


def _of_numbers(truth: np.ndarray, said: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    total, error = weights.sum(axis=1), said - truth
    mean = weights @ truth / total
    square = weights @ error**2 / total
    return {
        "example_count": total,
        "mean_error": weights @ error / total,
        "mean_absolute_error": weights @ np.abs(error) / total,
        "root_mean_squared_error": square**0.5,
        "r_squared": 1 - _ratio(square, weights @ truth**2 / total - mean**2),
    }


def _of_several(holds: np.ndarray, answers: Answers, weights: np.ndarray) -> dict[str, np.ndarray]:
    said = (answers.scores >= answers.head.threshold).astype(float)
    total = weights.sum(axis=1)
    of_truth = np.where(holds > 0, answers.scores, 1 - answers.scores)
    by_class = _by_class(weights, holds, said)
    support, both = weights @ holds, weights @ (holds * said)
    result = {
        "example_count": total,
        "subset_accuracy": weights @ (holds == said).all(axis=1) / total,
        "hamming_loss": weights @ (holds != said).mean(axis=1) / total,
        "log_loss": weights @ -np.log(np.maximum(of_truth, _SMALLEST_PROBABILITY)).mean(axis=1) / total,
        "micro_f1": _ratio(2 * both.sum(axis=1), (support + weights @ said).sum(axis=1)),
        "macro_f1": _mean_where(by_class["f1"], support > 0),
        "auc": _auc(holds, answers.scores, weights),
    }
    by_class["support"] = support
    for metric, values in by_class.items():
        result |= {f"{metric}/{name.decode()}": values[:, place] for place, name in enumerate(answers.classes)}
    return result


def _by_class(weights: np.ndarray, true: np.ndarray, said: np.ndarray) -> dict[str, np.ndarray]:
    """Float `(resamples, classes)` each, of float `(rows, classes)` of 0 and 1."""
    both, support, predicted = weights @ (true * said), weights @ true, weights @ said
    return {
        "precision": _ratio(both, predicted),
        "recall": _ratio(both, support),
        "f1": _ratio(2 * both, support + predicted),
    }


def _auc(true: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, mean over the classes that hold in some rows and not in others; ties count half."""
    areas = np.full((len(weights), true.shape[1]), np.nan)
    for place in range(true.shape[1]):
        ranks = np.unique(scores[:, place], return_inverse=True)[1]
        order = np.argsort(ranks, kind="stable")
        starts = np.flatnonzero(np.diff(ranks[order], prepend=-1))
        positive = np.add.reduceat((weights * true[:, place])[:, order], starts, axis=1)
        negative = np.add.reduceat((weights * (1 - true[:, place]))[:, order], starts, axis=1)
        wins = (positive * (np.cumsum(negative, axis=1) - negative / 2)).sum(axis=1)
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        areas[:, place] = np.where(pairs > 0, _ratio(wins, pairs), np.nan)
    return _mean_where(np.nan_to_num(areas), ~np.isnan(areas))


def _calibration_error(right: np.ndarray, confidence: np.ndarray, weights: np.ndarray) -> np.ndarray:
    bins = np.eye(_SCORE_BINS)[np.minimum((confidence * _SCORE_BINS).astype(int), _SCORE_BINS - 1)]
    return np.abs(weights @ (bins * (confidence - right)[:, np.newaxis])).sum(axis=1) / weights.sum(axis=1)


def _mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where.any(axis=1), _ratio((values * where).sum(axis=1), where.sum(axis=1)), np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole != 0)
