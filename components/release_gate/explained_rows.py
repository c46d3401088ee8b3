"""Explains a few test rows: the surest answers that were right, and those that were wrong. Run by replay.py.

Like that, it imports nothing of this project: it works on the session and the signature of the loaded model.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

SCANNED_ROWS = 512
BATCH_ROWS = 64
SHOWN_ROWS = 4
"""Of those that are right, and again of those that are wrong."""


def read_rows(files: Sequence[str]) -> list[tf.train.Example]:
    """The first rows of a split, in the order of its files.

    Args:
        files: gzipped TFRecords of tf.Example.
    """
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").take(SCANNED_ROWS).as_numpy_iterator()
    return [tf.train.Example.FromString(record) for record in records]


def write_explained(session: Any, signature: Any, rows: Sequence[tf.train.Example], path: Path) -> None:
    """Asks the signature `explain` about the rows and writes those to show as JSON.

    The file holds a list of rows: `row`, its place in the split; `right`, null where a number is predicted; `labels`
    and `answers` by head; `tokens`, `features` and `attention`, as long as each other. Rows are left out whose answer
    is no finite number.
    """
    explained = [
        each for start in range(0, len(rows), BATCH_ROWS) for each in _explain(session, signature, rows, start)
    ]
    path.write_text(json.dumps(_chosen(explained), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _explain(session: Any, signature: Any, rows: Sequence[tf.train.Example], start: int) -> Iterator[dict[str, Any]]:
    batch = rows[start : start + BATCH_ROWS]
    feed = {info.name: _column(name, info.dtype, batch) for name, info in signature.inputs.items()}
    got = session.run({name: info.name for name, info in signature.outputs.items()}, feed)
    heads = sorted(name.removesuffix(part) for name in got for part in ("classes", "value") if name.endswith(part))
    numbers = [values for values in got.values() if np.issubdtype(values.dtype, np.floating)]
    for place, example in enumerate(batch):
        if not all(np.isfinite(values[place]).all() for values in numbers):
            continue
        answers = {head.removesuffix("_") or "label": _answer(got, head, place) for head in heads}
        labels = {head: _values(example.features.feature.get(head)) for head in answers}
        first = "label" if "label" in answers else min(answers)
        real = got["token_features"][place] != b""  # padding belongs to no feature
        yield {
            "row": start + place,
            "right": _is_right(answers[first], labels[first]),
            "sureness": _sureness(answers[first], labels[first]),
            "labels": labels,
            "answers": answers,
            "tokens": [_text(each) for each in got["tokens"][place][real]],
            "features": [_text(each) for each in got["token_features"][place][real]],
            "attention": [round(float(each), 6) for each in got["attention"][place][real]],
        }


def _column(name: str, dtype: int, batch: Sequence[tf.train.Example]) -> np.ndarray:
    """One input, `(batch,)`, in which `""` and NaN stand for a missing value."""
    columns = [_values(example.features.feature.get(name), decode=False) for example in batch]
    if dtype == tf.string.as_datatype_enum:
        return np.array([values[0] if values else b"" for values in columns], object)
    return np.array([values[0] if values else math.nan for values in columns], tf.as_dtype(dtype).as_numpy_dtype)


def _values(feature: tf.train.Feature | None, decode: bool = True) -> list[Any]:
    kind = feature.WhichOneof("kind") if feature is not None else None
    values = list(getattr(feature, kind).value) if kind else []
    return [_text(value) for value in values] if decode and kind == "bytes_list" else values


def _answer(got: dict[str, np.ndarray], head: str, place: int) -> dict[str, Any]:
    if f"{head}value" in got:
        return {"value": float(got[f"{head}value"][place])}
    classes = [_text(name) for name in got[f"{head}classes"][place]]
    scores = [round(float(score), 6) for score in got[f"{head}probabilities"][place]]
    return {"label": _text(got[f"{head}label"][place]), "probabilities": dict(zip(classes, scores, strict=True))}


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
