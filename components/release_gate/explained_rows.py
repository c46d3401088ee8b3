"""Explains a few test rows for the report: the surest answers that were right, and those that were wrong."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.release_gate.sample import Answers, Sample

SHOWN_ROWS = 4
"""Of those that are right, and again of those that are wrong."""


def write_explained(
    sample: Sample, outputs: Mapping[str, np.ndarray], answers: Mapping[str, Answers], path: Path
) -> None:
    """Writes the rows to show as JSON.

    The file holds a list of rows: `row`, its place in the split; `right`, null where a number is predicted; `labels`
    and `answers` by head; `tokens`, `features` and `attention`, as long as each other.

    Args:
        sample: the rows.
        outputs: what the signature `explain` says of them: `attention` float, `tokens` and `token_features` bytes
            `(rows, tokens)`.
        answers: what each head says of them.
        path: of the file.
    """
    rows = _chosen(list(_explained(sample, outputs, answers)))
    path.write_text(json.dumps(rows, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _explained(
    sample: Sample, outputs: Mapping[str, np.ndarray], answers: Mapping[str, Answers]
) -> Iterator[dict[str, Any]]:
    first = next(iter(answers))
    for at, place in enumerate(sample.places):
        if not all(np.isfinite(each.scores[at]).all() for each in answers.values()):
            continue
        said = {head: _answer(each, at) for head, each in answers.items()}
        labels = {head: _labels(sample.labels[head][at]) for head in said}
        real = outputs["token_features"][at] != b""  # padding belongs to no feature
        yield {
            "row": place,
            "right": _is_right(said[first], labels[first]),
            "sureness": _sureness(said[first], labels[first]),
            "labels": labels,
            "answers": said,
            "tokens": [_text(each) for each in outputs["tokens"][at][real]],
            "features": [_text(each) for each in outputs["token_features"][at][real]],
            "attention": [round(float(each), 6) for each in outputs["attention"][at][real]],
        }


def _answer(answers: Answers, at: int) -> dict[str, Any]:
    if answers.is_number:
        return {"value": float(answers.scores[at, 0])}
    scores = [round(float(score), 6) for score in answers.scores[at]]
    classes = [_text(name) for name in answers.classes]
    return {"label": _text(answers.labels[at]), "probabilities": dict(zip(classes, scores, strict=True))}


def _labels(label: Any) -> list[Any]:
    """The label as a list: several classes, one, a number, or nothing."""
    if isinstance(label, frozenset):
        return sorted(_text(name) for name in label)
    if isinstance(label, bytes):
        return [_text(label)] if label else []
    return [] if math.isnan(label) else [float(label)]


def _is_right(answer: dict[str, Any], labels: list[Any]) -> bool | None:
    """Whether exactly the row's classes were named; several stand in the answer sorted, with one separator."""
    if "value" in answer:
        return None
    said, names = answer["label"], sorted(labels)
    if len(names) < 2:
        return said == (names or [""])[0]
    width, rest = divmod(len(said) - sum(map(len, names)), len(names) - 1)
    return width > 0 and not rest and said == said[len(names[0]) : len(names[0]) + width].join(names)


def _sureness(answer: dict[str, Any], labels: list[Any]) -> float:
    """Greater is surer: the probability of what is said; of a number how near it is to the label."""
    if "value" in answer:
        return -abs(answer["value"] - float(labels[0])) if labels else -math.inf
    scores = answer["probabilities"]
    if answer["label"] in scores:
        return scores[answer["label"]]
    return sum(max(score, 1 - score) for score in scores.values()) / max(len(scores), 1)


def _chosen(explained: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ranked = sorted(explained, key=lambda each: -each["sureness"])  # rows that are equally sure stay in their order
    if any(each["right"] is None for each in ranked):
        shown = [*ranked[:SHOWN_ROWS], *ranked[max(SHOWN_ROWS, len(ranked) - SHOWN_ROWS) :][::-1]]
    else:
        shown = [
            row for right in (True, False) for row in [each for each in ranked if each["right"] is right][:SHOWN_ROWS]
        ]
    return [{key: value for key, value in each.items() if key != "sureness"} for each in shown]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
