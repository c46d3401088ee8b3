"""Asks two labels of a model the same requests and compares: answers, errors, latency."""

import itertools
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from deploy.serving.client_errors import PredictionError, UnreachableError, error_of
from deploy.serving.model_server import Server
from deploy.serving.rollout import CANARY, STABLE
from deploy.serving.tensors import to_array

_METHODS: dict[type, str] = {
    predict_pb2.PredictRequest: "Predict",
    classification_pb2.ClassificationRequest: "Classify",
    regression_pb2.RegressionRequest: "Regress",
}
_MOST_EXAMPLES = 3


@dataclass
class Comparison:
    """What two versions made of the same requests."""

    requests: int = 0
    """Answered by stable, and so compared."""
    rows: int = 0
    """Rows with an answer from both."""
    flips: int = 0
    """Rows to which canary answers something else."""
    canary_errors: int = 0
    """Requests that stable answers and canary does not."""
    refused_by_stable: int = 0
    """Requests that say nothing of canary: stable does not answer them either."""
    stable_ms: list[float] = field(default_factory=list)
    canary_ms: list[float] = field(default_factory=list)
    first_error: str = ""
    examples: list[str] = field(default_factory=list)
    """The first few flips."""

    @property
    def flip_rate(self) -> float:
        return self.flips / self.rows if self.rows else 0.0

    @property
    def error_rate(self) -> float:
        return self.canary_errors / self.requests if self.requests else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "rows": self.rows,
            "flips": self.flips,
            "canary_errors": self.canary_errors,
            "refused_by_stable": self.refused_by_stable,
            "stable_p50_ms": percentile(self.stable_ms, 50),
            "stable_p95_ms": percentile(self.stable_ms, 95),
            "canary_p50_ms": percentile(self.canary_ms, 50),
            "canary_p95_ms": percentile(self.canary_ms, 95),
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """0 of no values."""
    return round(float(np.percentile(values, percent)), 3) if values else 0.0


class Mirror:
    """Asks one server."""

    def __init__(self, server: Server, model_name: str, timeout_seconds: float) -> None:
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        self._model_name, self._timeout_seconds = model_name, timeout_seconds

    def compare(self, requests: Iterable[Any], most: int, share: float, most_canary_errors: int) -> Comparison:
        """Sends requests to both labels, one after the other.

        Args:
            requests: PredictRequests, ClassificationRequests, RegressionRequests; ends when they end.
            most: requests to compare.
            share: of the requests that are sent at all, between 0 and 1.
            most_canary_errors: with more of them the end is not waited for.

        Raises:
            UnreachableError: the server is gone.
        """
        found, order = Comparison(), random.Random(0)
        for request in requests:
            if order.random() >= share:
                continue
            if not found.requests:
                for label in (STABLE, CANARY):  # what is slow once only is nobody's latency
                    self._ask(request, label)
            # Neither is always the one that finds the caches warm.
            labels = (STABLE, CANARY) if order.random() < 0.5 else (CANARY, STABLE)
            answers = {label: self._ask(request, label) for label in labels}
            self._note(found, *answers[STABLE], *answers[CANARY])
            if found.requests + found.refused_by_stable >= most or found.canary_errors > most_canary_errors:
                break
        return found

    def _ask(self, request: Any, label: str) -> tuple[Any, float]:
        """The response, or why there is none; and milliseconds."""
        request.model_spec.name = self._model_name
        request.model_spec.version_label = label
        call = getattr(self._stub, _METHODS[type(request)])
        started = time.perf_counter()
        try:
            response = call(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            response = error_of(error)
        return response, (time.perf_counter() - started) * 1e3

    def _note(self, found: Comparison, stable: Any, stable_ms: float, canary: Any, canary_ms: float) -> None:
        if isinstance(stable, UnreachableError):
            raise stable
        if isinstance(stable, PredictionError):
            found.refused_by_stable += 1
            return
        found.requests += 1
        if isinstance(canary, PredictionError):
            found.canary_errors += 1
            found.first_error = found.first_error or str(canary)
            return
        found.stable_ms.append(stable_ms)
        found.canary_ms.append(canary_ms)
        before, after = answers_of(stable), answers_of(canary)
        found.rows += len(before)
        for old, new in itertools.zip_longest(before, after):
            if old != new:
                found.flips += 1
                if len(found.examples) < _MOST_EXAMPLES:
                    found.examples.append(f"{_text(old)} → {_text(new)}")


def answers_of(response: Any) -> list[Any]:
    """One answer a row: the label, those of all heads, or the best class; nothing where a response has none."""
    if isinstance(response, classification_pb2.ClassificationResponse):
        return [
            max(row.classes, key=lambda each: each.score).label if row.classes else None
            for row in response.result.classifications
        ]
    if isinstance(response, predict_pb2.PredictResponse):
        labels = [name for name in sorted(response.outputs) if name == "label" or name.endswith("_label")]
        if len(labels) == 1:
            return to_array(response.outputs[labels[0]]).ravel().tolist()
        if labels:
            return list(zip(*(to_array(response.outputs[name]).ravel().tolist() for name in labels), strict=True))
        for name in ("probabilities", "scores"):
            if name in response.outputs:
                scores = to_array(response.outputs[name])
                return scores.reshape(len(scores), -1).argmax(axis=1).tolist() if scores.size else []
    return []


def _text(answer: Any) -> str:
    if isinstance(answer, tuple):
        return " + ".join(map(_text, answer))
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
