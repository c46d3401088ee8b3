"""PredictionService and ModelService over gRPC."""

import time
from collections.abc import Awaitable
from typing import Any, NoReturn

import grpc
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from deploy.serving.core import ServingCore, fill_status
from deploy.serving.status import ServingError, grpc_message

_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = Any  # grpc.aio.ServicerContext: its stubs are generic over both messages


async def fail(context: Context, error: ServingError) -> NoReturn:
    """Ends a call with an error's code and text."""
    await context.abort(_CODES[error.code], grpc_message(error.message))
    raise error  # abort has raised already


async def _answer(context: Context, work: Awaitable[Any]) -> Any:
    try:
        return await work
    except ServingError as error:
        await fail(context, error)


def _deadline(context: Context) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata; anything newer answers UNIMPLEMENTED."""

    def __init__(self, core: ServingCore) -> None:
        self._core = core

    async def Predict(self, request: Any, context: Context) -> Any:  # noqa: N802  # gRPC names it
        """PredictRequest to PredictResponse."""
        return await _answer(context, self._core.predict(request, deadline=_deadline(context)))

    async def Classify(self, request: Any, context: Context) -> Any:  # noqa: N802
        """ClassificationRequest to ClassificationResponse."""
        return await _answer(context, self._core.classify(request, deadline=_deadline(context)))

    async def Regress(self, request: Any, context: Context) -> Any:  # noqa: N802
        """RegressionRequest to RegressionResponse."""
        return await _answer(context, self._core.regress(request, deadline=_deadline(context)))

    async def MultiInference(self, request: Any, context: Context) -> Any:  # noqa: N802
        """MultiInferenceRequest to MultiInferenceResponse."""
        return await _answer(context, self._core.multi_inference(request, deadline=_deadline(context)))

    async def GetModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        """GetModelMetadataRequest to GetModelMetadataResponse."""
        try:
            return self._core.metadata(request)
        except ServingError as error:
            await fail(context, error)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, core: ServingCore) -> None:
        self._core = core

    async def GetModelStatus(self, request: Any, context: Context) -> Any:  # noqa: N802
        """GetModelStatusRequest to GetModelStatusResponse."""
        try:
            return self._core.model_status(request)
        except ServingError as error:
            await fail(context, error)

    async def HandleReloadConfigRequest(self, request: Any, context: Context) -> Any:  # noqa: N802
        """ReloadConfigRequest to ReloadConfigResponse, whose status repeats that of the call."""
        response = model_management_pb2.ReloadConfigResponse()
        fill_status(response.status, None)
        try:
            await self._core.manager.reload(request.config)
        except ServingError as error:
            await fail(context, error)
        return response
