"""PredictionService and ModelService over gRPC.

Requests are parsed here and not by generated code: gRPC for Python answers bytes that are no message with UNKNOWN and
a traceback in the log, the original with INTERNAL. Large ones are parsed in a thread, so that nobody waits for them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import model_management_pb2

from deploy.serving.core import ServingCore, fill_status
from deploy.serving.service_descriptors import METHODS, PACKAGE
from deploy.serving.status import InternalError, ServingError, grpc_message

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_LARGE_BYTES = 1 << 20

LEFT_OUT = (("PredictionService", "PredictStreamed"), ("SessionService", "SessionRun"))
"""Calls of the original that are answered UNIMPLEMENTED by name."""

Call = Callable[[Any, float | None], Awaitable[Any]]
"""Request and deadline (`time.monotonic()`) to response."""


def rpc_handlers(core: ServingCore) -> tuple[grpc.GenericRpcHandler, ...]:
    """All services, to be added to a `grpc.aio` server; calls that they lack answer UNIMPLEMENTED."""
    calls: dict[str, Call] = {
        "Predict": lambda request, deadline: core.predict(request, deadline=deadline),
        "Classify": lambda request, deadline: core.classify(request, deadline=deadline),
        "Regress": lambda request, deadline: core.regress(request, deadline=deadline),
        "MultiInference": lambda request, deadline: core.multi_inference(request, deadline=deadline),
        "GetModelMetadata": lambda request, _: _soon(core.metadata, request),
        "GetModelStatus": lambda request, _: _soon(core.model_status, request),
        "HandleReloadConfigRequest": lambda request, _: _reload(core, request),
    }
    handlers: dict[str, dict[str, grpc.RpcMethodHandler]] = {
        service: {method: _method_handler(request, calls[method]) for method, (request, _) in methods.items()}
        for service, methods in METHODS.items()
    }
    for service, method in LEFT_OUT:
        handlers.setdefault(service, {})[method] = _unimplemented(f"{service}.{method}")
    return tuple(
        grpc.method_handlers_generic_handler(f"{PACKAGE}.{service}", methods) for service, methods in handlers.items()
    )


def _unimplemented(name: str) -> grpc.RpcMethodHandler:
    async def handle(_: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is left out of this server.")

    return grpc.unary_unary_rpc_method_handler(handle)


def _method_handler(message: Any, call: Call) -> grpc.RpcMethodHandler:
    async def handle(data: bytes, context: Any) -> Any:
        remaining = context.time_remaining()
        deadline = None if remaining is None else time.monotonic() + remaining
        try:
            if len(data) < _LARGE_BYTES:
                request = _parsed(message, data)
            else:
                request = await asyncio.to_thread(_parsed, message, data)
            return await call(request, deadline)
        except ServingError as error:
            await context.abort(_CODES[error.code], grpc_message(error.message))

    return grpc.unary_unary_rpc_method_handler(
        handle, response_serializer=lambda response: response.SerializeToString()
    )


def _parsed(message: Any, data: bytes) -> Any:
    try:
        return message.FromString(data)
    except DecodeError as error:
        raise InternalError(f"The request is no {message.DESCRIPTOR.full_name}.") from error


async def _soon(answer: Callable[[Any], Any], request: Any) -> Any:
    return answer(request)


async def _reload(core: ServingCore, request: Any) -> Any:
    """The status of the response repeats that of the call."""
    await core.manager.reload(request.config)
    response = model_management_pb2.ReloadConfigResponse()
    fill_status(response.status, None)
    return response
