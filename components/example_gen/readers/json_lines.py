"""Reads JSON Lines: one object a line, keys are columns."""

import json
from collections.abc import Iterator
from typing import Any

from components.example_gen.readers.batch import Batch, RowBuffer


def read_json_lines(text: Iterator[str], wanted: tuple[str, ...]) -> Iterator[Batch]:
    """Yields the wanted keys as text; a key that is absent is a missing value, a blank line is no row."""
    buffer = RowBuffer(wanted)
    row = 0
    for line, raw in enumerate(text, 1):
        if not raw.strip():
            continue
        row += 1
        try:
            values = json.loads(raw)
        except (json.JSONDecodeError, RecursionError) as error:
            buffer.refuse(row, line, "invalid_json", {"received": str(error)}, raw)
        else:
            _add(buffer, values, raw, row, line)
        if buffer.is_full():
            yield buffer.flush()
    if buffer.values or buffer.bad:
        yield buffer.flush()


def json_keys(text: Iterator[str], max_rows: int) -> list[str]:
    """The keys of the first rows, in the order in which they come up."""
    keys: dict[str, None] = {}
    for _, raw in zip(range(max_rows), text, strict=False):
        try:
            values = json.loads(raw)
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(values, dict):
            keys.update(dict.fromkeys(values))
    return list(keys)


def _add(buffer: RowBuffer, values: Any, raw: str, row: int, line: int) -> None:
    if not isinstance(values, dict):
        detail = {"expected": "object", "received": type(values).__name__}
        buffer.refuse(row, line, "invalid_json", detail, raw)
        return
    fields = []
    for name in buffer.names:
        value = values.get(name)
        if isinstance(value, dict | list):
            detail = {"column": name, "received": json.dumps(value)[:200]}
            buffer.refuse(row, line, "not_a_single_value", detail, raw)
            return
        fields.append(_as_text(value))
    buffer.add(fields, raw, row, line)


def _as_text(value: Any) -> str | None:
    """JSON's own spelling; a whole float loses its `.0`, as in Arrow's casts, so that formats agree on classes."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return json.dumps(value)
