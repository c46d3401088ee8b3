"""The Predict call: named tensors in, named tensors out (`predict_util.cc` of TF Serving)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorflow_serving.apis import predict_pb2

from deploy.serving.plan import Plan, of_head
from deploy.serving.session import INFERENCE_METHODS
from deploy.serving.status import FailedPreconditionError, InternalError, InvalidArgumentError
from deploy.serving.tensors import Array, fill_proto, to_array

DEFAULT_SIGNATURE = "serving_default"


def joined(names: Iterable[str]) -> str:
    """Names as the C++ server lists them: sorted, and no space after the comma."""
    return ",".join(sorted(names))


def predict(model_name: str, version: int, signatures: Mapping[str, Any], request: Any) -> Plan:
    """Plans the answer to a PredictRequest.

    Args:
        model_name: As the client named it.
        version: The version that answers.
        signatures: SignatureDef by name.
        request: PredictRequest.

    Returns:
        The way to a PredictResponse whose `model_spec` says which name, version and signature answered.

    Raises:
        ServingError: The request does not fit the signature.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = signatures.get(name)
    if signature is None:
        raise FailedPreconditionError(f'Serving signature key "{name}" not found.')
    if signature.method_name not in INFERENCE_METHODS:
        expected = ", ".join(INFERENCE_METHODS)
        raise InternalError(
            f"Expected prediction signature method_name to be one of {{{expected}}}. Was: {signature.method_name}"
        )
    feeds = _feeds(signature, request.inputs)
    aliases = _output_aliases(signature, request.output_filter)

    def respond(outputs: Sequence[Array]) -> Any:
        response = predict_pb2.PredictResponse()
        response.model_spec.name = model_name
        response.model_spec.version.value = version
        response.model_spec.signature_name = name
        for alias, output in zip(aliases, outputs, strict=True):
            fill_proto(output, response.outputs[alias])
        return response

    fetches = [signature.outputs[alias].name for alias in aliases]
    return Plan(feeds, fetches, respond, [of_head(name, alias) for alias in aliases])


def _feeds(signature: Any, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays by tensor name, from the request or from the signature's default values."""
    sent, wanted, defaults = set(inputs), set(signature.inputs), set(signature.defaults)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not defaults):
        raise InvalidArgumentError(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{joined(sent)}}}) != "
            f"len({{{joined(wanted)}}}). Sent extra: {{{joined(sent - wanted)}}}. "
            f"Missing but required: {{{joined(wanted - sent)}}}."
        )
    feeds = {}
    for alias in sorted(wanted):
        feed_name = signature.inputs[alias].name
        if alias not in sent and alias not in defaults:
            raise InvalidArgumentError(
                f"Signature input alias: {alias}(feed name: {feed_name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{joined(sent)}}}, or default input alias set: "
                f"{joined(defaults)}"
            )
        try:
            feeds[feed_name] = to_array(inputs[alias] if alias in sent else signature.defaults[alias])
        except ValueError as error:
            raise InvalidArgumentError(f"tensor parsing error: {alias}") from error
    used = sent & wanted
    if sent and len(used) != len(sent):
        raise InvalidArgumentError(
            f"Inputs contains invalid name. Used request inputs: {joined(used)}, request input: {joined(sent)}"
        )
    return feeds


def _output_aliases(signature: Any, output_filter: Iterable[str]) -> list[str]:
    aliases: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise InvalidArgumentError(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{joined(signature.outputs)}}}."
            )
        if alias in aliases:
            raise InvalidArgumentError(f"duplicate output tensor alias: {alias}")
        aliases.append(alias)
    return aliases or sorted(signature.outputs)
