"""Classify, Regress and MultiInference: tf.Example in, classes or values out.

Follows `classifier.cc`, `regressor.cc`, `multi_inference.cc` and `util.cc` of TF Serving.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from deploy.serving.plan import Plan, of_head
from deploy.serving.predict import DEFAULT_SIGNATURE
from deploy.serving.status import FailedPreconditionError, InvalidArgumentError, UnimplementedError
from deploy.serving.tensors import Array, element_type_of

CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME


def classify(model_name: str, version: int, signatures: Mapping[str, Any], request: Any) -> Plan:
    """Plans the answer to a ClassificationRequest: a ClassificationResponse.

    Raises:
        ServingError: The request or the signature is not one of the Classify API.
    """
    signature_name, signature = _signature(signatures, request.model_spec, CLASSIFY, "classification")
    input_name, output_names = _classify_tensors(signature)
    batch = serialized_examples(request.input)

    def respond(outputs: Sequence[Array]) -> Any:
        response = classification_pb2.ClassificationResponse()
        _fill_spec(response.model_spec, model_name, version, signature_name)
        _fill_classes(signature, len(batch), dict(zip(output_names, outputs, strict=True)), response.result)
        return response

    aliases = _aliases(signature_name, signature)
    return Plan({input_name: batch}, output_names, respond, [aliases[name] for name in output_names])


def regress(model_name: str, version: int, signatures: Mapping[str, Any], request: Any) -> Plan:
    """Plans the answer to a RegressionRequest: a RegressionResponse.

    Raises:
        ServingError: The request or the signature is not one of the Regress API.
    """
    signature_name, signature = _signature(signatures, request.model_spec, REGRESS, "regression")
    input_name, output_names = _regress_tensors(signature)
    batch = serialized_examples(request.input)

    def respond(outputs: Sequence[Array]) -> Any:
        response = regression_pb2.RegressionResponse()
        _fill_spec(response.model_spec, model_name, version, signature_name)
        _fill_values(signature, len(batch), dict(zip(output_names, outputs, strict=True)), response.result)
        return response

    aliases = _aliases(signature_name, signature)
    return Plan({input_name: batch}, output_names, respond, [aliases[name] for name in output_names])


def multi_inference(version: int, signatures: Mapping[str, Any], request: Any) -> Plan:
    """Plans the answer to a MultiInferenceRequest: several heads of one model over the same examples, in one run.

    Raises:
        ServingError: The tasks do not go together, or one of them is not one of its API.
    """
    model_name = input_name = ""
    seen: list[str] = []
    aliases: dict[str, str] = {}
    for task in request.tasks:
        if not task.model_spec.name:
            raise InvalidArgumentError("Found ModelSpec with an empty model name.")
        model_name = model_name or task.model_spec.name
        if task.model_spec.name != model_name:
            raise InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        signature_name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if signature_name in seen:
            raise InvalidArgumentError(f"Duplicate evaluation of signature: {signature_name}")
        seen.append(signature_name)
        if signature_name not in signatures:
            raise InvalidArgumentError(f"Requested signature not found in model graph: {signature_name}")
        if task.method_name == CLASSIFY:
            task_input, outputs = _classify_tensors(signatures[signature_name])
        elif task.method_name == REGRESS:
            task_input, outputs = _regress_tensors(signatures[signature_name])
        else:
            raise UnimplementedError(f"Unsupported signature method_name: {task.method_name}")
        input_name = input_name or task_input
        if task_input != input_name:
            raise InvalidArgumentError("Input tensor must be the same for all Signatures.")
        named = _aliases(signature_name, signatures[signature_name])
        aliases |= {name: named[name] for name in outputs}

    names = sorted(aliases)
    batch = serialized_examples(request.input)

    def respond(outputs: Sequence[Array]) -> Any:
        arrays = dict(zip(names, outputs, strict=True))
        response = inference_pb2.MultiInferenceResponse()
        for task, signature_name in zip(request.tasks, seen, strict=True):
            result = response.results.add()
            if task.method_name == CLASSIFY:
                _fill_classes(signatures[signature_name], len(batch), arrays, result.classification_result)
            else:
                _fill_values(signatures[signature_name], len(batch), arrays, result.regression_result)
            _fill_spec(result.model_spec, model_name, version, signature_name)
        return response

    return Plan({input_name: batch}, names, respond, [aliases[name] for name in names])


def serialized_examples(examples: Any) -> Array:
    """Serializes the examples of an Input, each with the context's features before its own.

    Args:
        examples: `tensorflow.serving.Input`.

    Returns:
        object `(batch,)` of bytes.

    Raises:
        InvalidArgumentError: There is no example.
    """
    kind = examples.WhichOneof("kind")
    context = b""
    listed: Any = ()
    if kind == "example_list":
        listed = examples.example_list.examples
    elif kind == "example_list_with_context":
        context = examples.example_list_with_context.context.SerializeToString()
        listed = examples.example_list_with_context.examples
    if not listed:
        raise InvalidArgumentError("Input is empty.")
    batch = np.empty(len(listed), object)
    # Two serialized messages one after another are their merge.
    batch[:] = [context + example.SerializeToString() for example in listed]
    return batch


def _signature(signatures: Mapping[str, Any], model_spec: Any, method: str, kind: str) -> tuple[str, Any]:
    name = model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise InvalidArgumentError(f"No signature was found with the name: {name}")
    _check_method(signatures[name], method, kind)
    return name, signatures[name]


def _aliases(signature_name: str, signature: Any) -> dict[str, str]:
    """Tensor names → names of the outputs, with their head before them."""
    return {info.name: of_head(signature_name, alias) for alias, info in signature.outputs.items()}


def _check_method(signature: Any, method: str, kind: str) -> None:
    if signature.method_name != method:
        raise InvalidArgumentError(
            f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}"
        )


def _classify_tensors(signature: Any) -> tuple[str, list[str]]:
    _check_method(signature, CLASSIFY, "classification")
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgumentError(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if "inputs" not in signature.inputs:
        raise FailedPreconditionError(f"No classification inputs found in SignatureDef: {signature}")
    outputs = [signature.outputs[alias].name for alias in ("classes", "scores") if alias in signature.outputs]
    if not outputs:
        raise FailedPreconditionError(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {signature}"
        )
    return signature.inputs["inputs"].name, outputs


def _regress_tensors(signature: Any) -> tuple[str, list[str]]:
    _check_method(signature, REGRESS, "regression")
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidArgumentError("Expected one output Tensor.")
    if "inputs" not in signature.inputs:
        raise FailedPreconditionError(f"No regression inputs found in SignatureDef: {signature}")
    if "outputs" not in signature.outputs:
        raise FailedPreconditionError(f"No regression outputs found in SignatureDef: {signature}")
    return signature.inputs["inputs"].name, [signature.outputs["outputs"].name]


def _fill_spec(spec: Any, model_name: str, version: int, signature_name: str) -> None:
    spec.name = model_name
    spec.version.value = version
    spec.signature_name = signature_name


def _fill_classes(signature: Any, num_examples: int, outputs: Mapping[str, Array], result: Any) -> None:
    """Writes `classes` string and/or `scores` float, both `(batch, classes)`, into a ClassificationResult."""
    found: dict[str, Array] = {}
    for alias, expected in (("classes", "DT_STRING"), ("scores", "DT_FLOAT")):
        if alias not in signature.outputs:
            continue
        array = outputs[signature.outputs[alias].name]
        if array.ndim != 2:
            raise InvalidArgumentError(f"Expected Tensor shape: [batch_size num_classes] but got {_shape_text(array)}")
        actual = element_type_of(array).enum_name
        if actual != expected:
            raise InvalidArgumentError(f"Expected {alias} Tensor of {expected}. Got: {actual}")
        if len(array) != num_examples:
            raise InvalidArgumentError(f"Expected {alias} output batch size of {num_examples}. Got: {len(array)}")
        found[alias] = array
    widths = [array.shape[1] for array in found.values()]
    if len(set(widths)) > 1:
        raise InvalidArgumentError(
            f"Tensors class and score should match in dim_size(1). Got {widths[0]} vs. {widths[1]}"
        )
    for row in range(num_examples):
        classifications = result.classifications.add()
        for column in range(widths[0]):
            entry = classifications.classes.add()
            if "classes" in found:
                # The field is a proto string: bytes that are no UTF-8 cannot travel in it.
                entry.label = found["classes"][row, column].decode("utf-8", "replace")
            if "scores" in found:
                entry.score = found["scores"][row, column]


def _fill_values(signature: Any, num_examples: int, outputs: Mapping[str, Array], result: Any) -> None:
    """Writes a float `(batch,)` or `(batch, 1)` into a RegressionResult."""
    array = outputs[signature.outputs["outputs"].name]
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise InvalidArgumentError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " + _shape_text(array)
        )
    if len(array) != num_examples:
        raise InvalidArgumentError(f"Input batch size did not match output batch size: {num_examples} vs. {len(array)}")
    actual = element_type_of(array).enum_name
    if actual != "DT_FLOAT":
        raise InvalidArgumentError(f"Expected output Tensor of DT_FLOAT.  Got: {actual}")
    for value in array.reshape(-1).tolist():
        result.regressions.add().value = value


def _shape_text(array: Array) -> str:
    return "[" + ",".join(str(length) for length in array.shape) + "]"
