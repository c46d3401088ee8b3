"""Responses to the JSON of the REST API (`json_tensor.cc` of TF Serving)."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from deploy.serving.status import InvalidArgumentError
from deploy.serving.tensors import BY_NUMBER, Array, to_array


def json_text(value: Any) -> str:
    """A JSON value inside an error message."""
    return json.dumps(value, ensure_ascii=False, indent=4)


def error_body(message: str) -> bytes:
    """The body of every answer that is no success."""
    return json.dumps({"error": message}, ensure_ascii=False).encode("utf-8", "replace")


def predict_body(outputs: Mapping[str, Any], as_rows: bool) -> bytes:
    """The body of a Predict answer.

    Args:
        outputs: TensorProto by alias.
        as_rows: `predictions`, one entry per row; else `outputs`, one entry per tensor.

    Raises:
        InvalidArgumentError: Rows are asked for and the tensors have no common number of them.
    """
    if not outputs:
        raise InvalidArgumentError("Cannot convert empty tensor map to JSON")
    arrays = {alias: to_array(outputs[alias]) for alias in sorted(outputs)}
    for alias, array in arrays.items():
        if array.dtype.kind not in "OfiubU":
            name = BY_NUMBER[outputs[alias].dtype].name
            raise InvalidArgumentError(f"Failed to write JSON value for tensor type: {name}")
    if as_rows:
        return _encoded(f'{{"predictions": [{", ".join(_rows(arrays))}]}}')
    parts = {alias: _array_text(alias, array) for alias, array in arrays.items()}
    return _encoded(f'{{"outputs": {_named(parts)}}}')


def _rows(arrays: Mapping[str, Array]) -> list[str]:
    batch_size = 0
    for alias, array in arrays.items():
        if array.ndim == 0:
            raise InvalidArgumentError(f"Tensor name: {alias} has no shape information ")
        if len(array) < 1:
            raise InvalidArgumentError(f"Tensor name: {alias} has invalid batch size: {len(array)}")
        if batch_size not in (0, len(array)):
            raise InvalidArgumentError(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch_size}"
            )
        batch_size = len(array)
    return [
        _named({alias: _array_text(alias, array[row]) for alias, array in arrays.items()}) for row in range(batch_size)
    ]


def _named(parts: Mapping[str, str]) -> str:
    """An object by alias; where there is one output only, the value alone."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    return "{" + ", ".join(f"{json.dumps(alias)}: {text}" for alias, text in parts.items()) + "}"


def classify_body(result: Any) -> bytes:
    """`results`: per example a list of [label, score]."""
    rows = (
        "[" + ", ".join(f"[{_string(c.label.encode())}, {decimal_text(c.score)}]" for c in entry.classes) + "]"
        for entry in result.classifications
    )
    return _encoded(f'{{"results": [{", ".join(rows)}]}}')


def regress_body(result: Any) -> bytes:
    """`results`: one value per example."""
    values = ", ".join(decimal_text(entry.value) for entry in result.regressions)
    return _encoded(f'{{"results": [{values}]}}')


def decimal_text(value: float, dtype: Any = np.float32) -> str:
    """A float as the original writes it: six digits if they suffice, all if not, and never like an integer.

    NaN and the infinities are written bare, as the original does, which not every JSON reader takes.
    """
    number = dtype(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    text = f"{float(number):.6g}"
    if dtype(float(text)) != number:
        text = f"{float(number):.{9 if dtype is np.float32 else 17}g}"
    return text if "." in text or "e" in text else text + ".0"


def _array_text(alias: str, array: Any) -> str:
    if isinstance(array, np.ndarray) and array.ndim:
        return "[" + ", ".join(_array_text(alias, item) for item in array) + "]"
    value = array.item() if isinstance(array, np.ndarray | np.generic) else array
    if isinstance(value, bytes):
        if alias.endswith("_bytes"):
            return json.dumps({"b64": base64.b64encode(value).decode()})
        return _string(value)
    if isinstance(value, float):
        return decimal_text(value, np.float64 if array.dtype == np.float64 else np.float32)
    return json.dumps(value)


def _string(value: bytes) -> str:
    """Bytes as a JSON string; those that are no UTF-8 pass through as they are, as in the original."""
    return json.dumps(value.decode("utf-8", "surrogateescape"), ensure_ascii=False)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
