"""The REST API: routes, bodies and codes of `http_rest_api_handler.cc`, on aiohttp."""

import asyncio
import json
import re
import time
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

from deploy.serving.core import SIGNATURE_FIELD, Job, ServingCore
from deploy.serving.examples import classify, regress
from deploy.serving.json_examples import fill_examples
from deploy.serving.json_request import fill_predict_request, fill_signature_name, parse_body
from deploy.serving.json_response import classify_body, error_body, predict_body, regress_body
from deploy.serving.plan import Plan
from deploy.serving.predict import DEFAULT_SIGNATURE, predict
from deploy.serving.servable import Servable
from deploy.serving.status import DeadlineExceededError, InvalidArgumentError, ResourceExhaustedError, ServingError

MAX_BODY_BYTES = 1 << 30

_WHICH = r"(?:(?:/versions/(?P<version>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_WHICH}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}(?P<metadata>/metadata)?", re.IGNORECASE)


def create_app(core: ServingCore, metrics_path: str | None, timeout_seconds: float) -> web.Application:
    """Makes the HTTP application.

    Args:
        core: Answers the calls.
        metrics_path: Where the monitoring page stands; None: nowhere.
        timeout_seconds: After which a call is given up.
    """
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    handler = _Handler(core, timeout_seconds)
    if metrics_path:
        app.router.add_get(metrics_path, handler.metrics)
    app.router.add_route("*", "/{path:.*}", handler.handle)
    return app


class _Handler:
    def __init__(self, core: ServingCore, timeout_seconds: float) -> None:
        self._core = core
        self._timeout_seconds = timeout_seconds

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self._core.metrics_page(), content_type="text/plain")

    async def handle(self, request: web.Request) -> web.Response:
        # The raw path: names are matched before they are decoded, so that `%2F` in one is no separator.
        path = request.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            return _response(404, error_body("Not Found"))
        try:
            return _response(200, await self._dispatch(request, path))
        except ServingError as error:
            return _response(error.http_status, error_body(error.message))

    async def _dispatch(self, request: web.Request, path: str) -> bytes:
        if request.method == "POST" and (match := _POST.fullmatch(path)):
            try:
                body = await request.read()
            except web.HTTPRequestEntityTooLarge as error:
                raise ResourceExhaustedError(f"Request body is larger than {MAX_BODY_BYTES} bytes.") from error
            calls = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
            return await calls[match["method"].lower()](match, body)
        if request.method == "GET" and (match := _GET.fullmatch(path)):
            if not match["name"]:
                raise InvalidArgumentError("Missing model name in request.")
            return self._metadata(match) if match["metadata"] else self._status(match)
        raise InvalidArgumentError(f"Malformed request: {request.method} {path}")

    async def _predict(self, match: re.Match[str], body: bytes) -> bytes:
        request = predict_pb2.PredictRequest()

        def job(servable: Servable, signatures: Any) -> Plan:
            document = parse_body(body)
            fill_signature_name(document, request)
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            if name not in signatures:
                raise InvalidArgumentError(f'Serving signature name: "{name}" not found in signature def')
            as_rows = fill_predict_request(document, signatures[name].inputs, request)
            plan = predict(servable.model_name, servable.version, signatures, request)
            return plan.then(lambda response: predict_body(response.outputs, as_rows))

        return await self._run(match, request, "Predict", job, len(body))

    async def _classify(self, match: re.Match[str], body: bytes) -> bytes:
        request = classification_pb2.ClassificationRequest()

        def job(servable: Servable, signatures: Any) -> Plan:
            _fill_input(body, request)
            plan = classify(servable.model_name, servable.version, signatures, request)
            return plan.then(lambda response: classify_body(response.result))

        return await self._run(match, request, "Classify", job, len(body))

    async def _regress(self, match: re.Match[str], body: bytes) -> bytes:
        request = regression_pb2.RegressionRequest()

        def job(servable: Servable, signatures: Any) -> Plan:
            _fill_input(body, request)
            plan = regress(servable.model_name, servable.version, signatures, request)
            return plan.then(lambda response: regress_body(response.result))

        return await self._run(match, request, "Regress", job, len(body))

    async def _run(self, match: re.Match[str], request: Any, api: str, job: Job, size: int) -> bytes:
        """Runs a job; the body is parsed as a part of it, so that large ones are parsed in a thread."""
        _fill_spec(match, request.model_spec)

        def guarded(servable: Servable, signatures: Any) -> Plan:
            try:
                return job(servable, signatures)
            except RecursionError as error:
                raise InvalidArgumentError("JSON Parse error: Nested too deeply.") from error

        deadline = time.monotonic() + self._timeout_seconds
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return bytes(await self._core.run(request.model_spec, api, "REST", guarded, size, deadline))
        except TimeoutError as error:
            raise DeadlineExceededError(f"No answer within {self._timeout_seconds} seconds.") from error

    def _status(self, match: re.Match[str]) -> bytes:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(match, request.model_spec)
        response = self._core.model_status(request)
        return json_format.MessageToJson(response, always_print_fields_with_no_presence=True).encode()

    def _metadata(self, match: re.Match[str]) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURE_FIELD])
        _fill_spec(match, request.model_spec)
        response = self._core.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_FIELD].Unpack(signatures)
        body = {"model_spec": _dict(response.model_spec), "metadata": {SIGNATURE_FIELD: _dict(signatures)}}
        return json.dumps(body, indent=1).encode()


def _fill_input(body: bytes, request: Any) -> None:
    document = parse_body(body)
    fill_signature_name(document, request)
    fill_examples(document, request.input)


def _dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )


def _fill_spec(match: re.Match[str], spec: Any) -> None:
    spec.name = unquote(match["name"])
    if match["version"]:
        if int(match["version"]) >= 2**63:
            raise InvalidArgumentError(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = unquote(match["label"])


def _response(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")
