"""JSON bodies of the REST API to requests (`json_tensor.cc` of TF Serving: its rules and its texts)."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from deploy.serving.json_response import json_text
from deploy.serving.predict import joined
from deploy.serving.status import InvalidArgumentError, ServingError, UnimplementedError
from deploy.serving.tensors import BY_NUMBER, MAX_RANK, STRING, ElementType, fill_proto

Json = Any

_INTEGER_RANGES = {
    # The original reads the small ones as int32 too and lets the tensor cut them.
    "int32": (-(2**31), 2**31 - 1),
    "int16": (-(2**31), 2**31 - 1),
    "int8": (-(2**31), 2**31 - 1),
    "uint8": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
LARGEST_FLOAT = float(np.finfo(np.float32).max)
_LARGEST_EXACT_INTEGER = {"float": 2**24 - 1, "double": 2**53 - 1}


def parse_body(body: bytes) -> dict[str, Json]:
    """Parses a request body, which must be one JSON object.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not body:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(f"JSON Parse error: Invalid value. at offset: {error.pos}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    except RecursionError as error:
        raise InvalidArgumentError("JSON Parse error: Nested too deeply.") from error
    except ValueError as error:  # a number of more digits than Python reads
        raise InvalidArgumentError("JSON Parse error: Number too big to be stored in double.") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {json_text(document)} Is not object")
    return document


def fill_signature_name(document: dict[str, Json], request: Any) -> None:
    """Takes over the optional `signature_name`."""
    if "signature_name" in document:
        name = document["signature_name"]
        if not isinstance(name, str):
            raise InvalidArgumentError(
                f"JSON Value: {json_text(document)} not formatted correctly. "
                "'signature_name' key must be a string value."
            )
        encode(name)
        request.model_spec.signature_name = name


def fill_predict_request(document: dict[str, Json], inputs: Mapping[str, Any], request: Any) -> bool:
    """Fills the tensors of a PredictRequest from `instances` (rows) or `inputs` (columns).

    Args:
        document: The body.
        inputs: TensorInfo by alias, of the signature asked for.
        request: PredictRequest to fill.

    Returns:
        Whether the body held rows; the response has the same form.

    Raises:
        ServingError: The values do not make tensors of the signature's types.
    """
    if not inputs:
        name = request.model_spec.signature_name or "DEFAULT"
        raise InvalidArgumentError(f"Failed to get input map for signature: {name}")
    types = {alias: BY_NUMBER.get(inputs[alias].dtype) for alias in sorted(inputs)}
    if "instances" in document and "inputs" in document:
        raise InvalidArgumentError(
            f"JSON Value: {json_text(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if "instances" in document:
        _fill_rows(document, types, request)
        return True
    if "inputs" in document:
        _fill_columns(document["inputs"], types, request)
        return False
    raise InvalidArgumentError("Missing 'inputs' or 'instances' key")


def _fill_rows(document: dict[str, Json], types: Mapping[str, ElementType | None], request: Any) -> None:
    rows = document["instances"]
    if not isinstance(rows, list):
        raise InvalidArgumentError(f"JSON Value: {json_text(document)} Excepting 'instances' to be an list/array")
    if not rows:
        raise InvalidArgumentError(f"JSON Value: {json_text(document)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(types) > 1:
        raise InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_object(rows[0])
    columns: dict[str, list[_Tensor]] = {alias: [] for alias in types}
    for number, row in enumerate(rows):
        if _is_object(row) != named:
            found = "Expecting object but got list" if named else "Expecting value/list but got object"
            raise InvalidArgumentError(f"{found} at item {number} of input list")
        for alias, value in row.items() if named else ((next(iter(types)), row),):
            try:
                _add_row(alias, value, types, columns)
            except ServingError as error:
                key = f" key: {alias} of" if named else " of"
                raise InvalidArgumentError(
                    f"Failed to process element: {number}{key} 'instances' list. Error: {error}"
                ) from error
        if named and set(row) != set(types):
            raise InvalidArgumentError(
                f"Failed to process element: {number} of 'instances' list. JSON object: {json_text(row)} "
                f"must only have keys: {joined(types)}"
            )
    for alias, tensors in columns.items():
        values = [value for tensor in tensors for value in tensor.values]
        _write(values, (len(rows), *tensors[0].shape), types[alias], request.inputs[alias])


def _add_row(
    alias: str, value: Json, types: Mapping[str, ElementType | None], columns: dict[str, "list[_Tensor]"]
) -> None:
    if alias not in types:
        raise InvalidArgumentError(f"JSON object: does not have named input: {alias}")
    tensor = _Tensor(value, types[alias])
    if columns[alias]:
        first = columns[alias][0]
        if len(first.values) != len(tensor.values):
            raise InvalidArgumentError(f"Expecting tensor size: {len(first.values)} but got: {len(tensor.values)}")
        if first.shape != tensor.shape:
            raise InvalidArgumentError(f"Expecting shape {_shown(first.shape)} but got: {_shown(tensor.shape)}")
    columns[alias].append(tensor)


def _fill_columns(value: Json, types: Mapping[str, ElementType | None], request: Any) -> None:
    if not _is_object(value):
        if len(types) > 1:
            raise InvalidArgumentError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(types)): value}
    for alias, element_type in types.items():
        if alias not in value:
            raise InvalidArgumentError(f"Missing named input: {alias} in 'inputs' object.")
        tensor = _Tensor(value[alias], element_type)
        _write(tensor.values, tensor.shape, element_type, request.inputs[alias])


class _Tensor:
    """One JSON value, flattened, with its shape (that of the first elements at every level)."""

    def __init__(self, value: Json, element_type: ElementType | None) -> None:
        shape = []
        level = value
        while isinstance(level, list):
            shape.append(len(level))
            if not level:
                break
            level = level[0]
        if len(shape) > MAX_RANK:
            raise InvalidArgumentError(f"A tensor has at most {MAX_RANK} dimensions. Received: {len(shape)}")
        self.shape = tuple(shape)
        self.values: list[Any] = []
        self._element_type = element_type
        self._fill(value, 0)

    def _fill(self, value: Json, level: int) -> None:
        if not isinstance(value, list):
            if level != len(self.shape):
                raise InvalidArgumentError(
                    f"JSON Value: {json_text(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {len(self.shape)}"
                )
            self.values.append(_element(value, self._element_type))
            return
        if level >= len(self.shape):
            raise InvalidArgumentError(f"Encountered list at unexpected level: {level} expected < {len(self.shape)}")
        if len(value) != self.shape[level]:
            raise InvalidArgumentError(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {self.shape[level]}"
            )
        for item in value:
            self._fill(item, level + 1)


def _element(value: Json, element_type: ElementType | None) -> Any:
    """One value of a tensor, or the original's complaint."""
    name = "unknown" if element_type is None else element_type.name
    if element_type is STRING:
        if isinstance(value, dict):
            return decode_base64(value)
        if isinstance(value, str):
            return encode(value)
        raise _type_error(value, name)
    if isinstance(value, dict):
        raise _type_error(value, name)
    if name in _LARGEST_EXACT_INTEGER:
        return _decimal(value, name)
    if name == "bool":
        if not isinstance(value, bool):
            raise _type_error(value, name)
        return value
    if name in _INTEGER_RANGES:
        low, high = _INTEGER_RANGES[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _type_error(value, name)
        return value
    raise UnimplementedError(f"Conversion of JSON Value: {json_text(value)} to type: {name}")


def _decimal(value: Json, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(value, name)
    if isinstance(value, int):
        exact = abs(value) <= _LARGEST_EXACT_INTEGER[name] or not -(2**63) <= value < 2**64
    else:
        exact = name == "double" or not math.isfinite(value) or abs(value) <= LARGEST_FLOAT
    if not exact:
        raise lossy_error(value, name)
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidArgumentError("JSON Parse error: Number too big to be stored in double.") from error


def decode_base64(value: Json) -> bytes:
    """The bytes of `{"b64": "…"}`."""
    if not _is_base64(value):
        raise InvalidArgumentError(f"JSON Value: {json_text(value)} not formatted correctly for base64 data")
    text = value["b64"].translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError("Unable to base64 decode") from error


def encode(text: str) -> bytes:
    """A JSON string as UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError("JSON Parse error: The surrogate pair in string is invalid.") from error


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _type_error(value: Json, name: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"JSON Value: {json_text(value)} Type: {type_name(value)} is not of expected type: {name}"
    )


def lossy_error(value: Json, name: str) -> InvalidArgumentError:
    """The refusal of a number that a type cannot hold."""
    return InvalidArgumentError(f"Cannot convert JSON value: {json_text(value)} to {name} without loss of precision.")


def type_name(value: Json) -> str:
    """The kind of a JSON value in the original's words."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return "Number"
    if isinstance(value, str):
        return "String"
    return "Array" if isinstance(value, list) else "Object"


def _shown(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(str(length) for length in shape) + "]"


def _write(values: list[Any], shape: tuple[int, ...], element_type: ElementType | None, proto: Any) -> None:
    if element_type is None:
        raise UnimplementedError("Conversion of JSON values to a tensor of this type")
    if element_type is STRING:
        array = np.empty(len(values), object)
        array[:] = values
    elif element_type.name in ("int16", "int8", "uint8"):
        array = np.array(values, np.int64).astype(element_type.dtype)
    else:
        array = np.array(values, element_type.dtype)
    fill_proto(array.reshape(shape), proto)
