"""JSON bodies of `:classify` and `:regress`: objects to tf.Example."""

from typing import Any

from tensorflow.core.example import feature_pb2

from deploy.serving.json_request import LARGEST_FLOAT, Json, decode_base64, encode, lossy_error, type_name
from deploy.serving.json_response import json_text
from deploy.serving.status import InvalidArgumentError

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def fill_examples(document: dict[str, Json], target: Any) -> None:
    """Fills an Input from `examples` and the optional `context`.

    Args:
        document: The body.
        target: `tensorflow.serving.Input`.

    Raises:
        InvalidArgumentError: There is no example, or a value is none of a tf.Example.
    """
    has_context = "context" in document
    if has_context:
        _fill_example(document["context"], target.example_list_with_context.context)
    if "examples" not in document:
        raise InvalidArgumentError(
            f"JSON Value: {json_text(document)} When method is classify, key 'examples' is expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise InvalidArgumentError(f"JSON Value: {json_text(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise InvalidArgumentError(f"JSON Value: {json_text(document)} 'examples' value is an empty array")
    listed = target.example_list_with_context if has_context else target.example_list
    for example in examples:
        _fill_example(example, listed.examples.add())


def _fill_example(value: Json, example: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in value.items():
        encode(name)
        feature = feature_pb2.Feature()
        for item in content if isinstance(content, list) else [content]:
            _add(item, name, feature)
        example.features.feature[name].CopyFrom(feature)


def _add(value: Json, name: str, feature: Any) -> None:
    if isinstance(value, bool):
        _list(feature, "int64_list", name).append(int(value))
    elif isinstance(value, str):
        _list(feature, "bytes_list", name).append(encode(value))
    elif isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        _list(feature, "bytes_list", name).append(decode_base64(value))
    elif isinstance(value, float):
        values = _list(feature, "float_list", name)
        if LARGEST_FLOAT < abs(value) < float("inf"):
            raise lossy_error(value, "float")
        values.append(value)
    elif isinstance(value, int):
        values = _list(feature, "int64_list", name)
        if not -(2**63) <= value < 2**63:
            raise InvalidArgumentError(f"Feature: {name} has uint64 element. Only int64 is supported.")
        values.append(value)
    else:
        raise InvalidArgumentError(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _list(feature: Any, kind: str, name: str) -> Any:
    """The list of one kind; a feature holds values of one kind only."""
    found = feature.WhichOneof("kind")
    if found not in (None, kind):
        raise InvalidArgumentError(f"Unexpected element type in feature: {name} expecting type: {_KINDS[found]}")
    return getattr(feature, kind).value
