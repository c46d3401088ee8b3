"""What gRPC and REST share: find the version, run the call in a worker thread, count it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from deploy.serving.batching import Batcher
from deploy.serving.batching_config import BatchingParameters
from deploy.serving.examples import classify, multi_inference, regress
from deploy.serving.metrics import ServingMetrics
from deploy.serving.model_manager import ModelManager
from deploy.serving.plan import Plan
from deploy.serving.predict import DEFAULT_SIGNATURE, predict
from deploy.serving.servable import Model, Servable, State
from deploy.serving.status import (
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ServingError,
    UnavailableError,
)
from deploy.serving.tensors import Array

DRAIN_POLL_SECONDS = 0.01
FAREWELL_SECONDS = 1.0
SIGNATURE_FIELD = "signature_def"

Signatures = Mapping[str, Any]
Job = Callable[[Servable, Signatures], Plan]

_INLINE_BYTES = 1 << 16
"""Requests up to this size are read on the event loop if a batch waits for them, larger ones in a thread."""

_INLINE_VALUES = 1 << 12
"""The same of answers: so many numbers and strings are written in about a millisecond."""


class ServingCore:
    """The calls of PredictionService and ModelService, whatever protocol they come by."""

    def __init__(
        self, manager: ModelManager, metrics: ServingMetrics, workers: int, batching: BatchingParameters | None = None
    ) -> None:
        """Takes calls at once.

        Args:
            manager: Holds the models.
            metrics: Is told of every call.
            workers: Threads that run calls beside each other.
            batching: How calls share runs of the graph; None: each has its own.
        """
        self.manager = manager
        self.metrics = metrics
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="inference")
        self._batcher = None if batching is None else Batcher(batching, metrics)
        self._under_way = 0
        self._draining = False

    async def predict(self, request: Any, entrypoint: str = "GRPC", deadline: float | None = None) -> Any:
        """PredictRequest to PredictResponse."""
        _require_model_spec(request)

        def job(servable: Servable, signatures: Signatures) -> Plan:
            return predict(servable.model_name, servable.version, signatures, request)

        return await self.run(request.model_spec, "Predict", entrypoint, job, request.ByteSize(), deadline)

    async def classify(self, request: Any, entrypoint: str = "GRPC", deadline: float | None = None) -> Any:
        """ClassificationRequest to ClassificationResponse."""
        _require_model_spec(request)

        def job(servable: Servable, signatures: Signatures) -> Plan:
            return classify(servable.model_name, servable.version, signatures, request)

        return await self.run(request.model_spec, "Classify", entrypoint, job, request.ByteSize(), deadline)

    async def regress(self, request: Any, entrypoint: str = "GRPC", deadline: float | None = None) -> Any:
        """RegressionRequest to RegressionResponse."""
        _require_model_spec(request)

        def job(servable: Servable, signatures: Signatures) -> Plan:
            return regress(servable.model_name, servable.version, signatures, request)

        return await self.run(request.model_spec, "Regress", entrypoint, job, request.ByteSize(), deadline)

    async def multi_inference(self, request: Any, deadline: float | None = None) -> Any:
        """MultiInferenceRequest to MultiInferenceResponse; the first task says which model."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()

        def job(servable: Servable, signatures: Signatures) -> Plan:
            return multi_inference(servable.version, signatures, request)

        return await self.run(spec, "MultiInference", "GRPC", job, request.ByteSize(), deadline)

    async def run(
        self, model_spec: Any, api: str, entrypoint: str, job: Job, size: int, deadline: float | None = None
    ) -> Any:
        """Runs a job on the version that a ModelSpec names.

        Args:
            model_spec: ModelSpec.
            api: Name of the call, for the metrics.
            entrypoint: `GRPC` or `REST`, for the metrics.
            job: Reads the request; may run in a worker thread.
            size: Bytes of the request.
            deadline: `time.monotonic()` after which nobody waits for the answer; such work is not begun.

        Returns:
            What the job's plan answers.

        Raises:
            ServingError: No such version, or what the job or its plan raised.
        """
        if self._draining:
            raise UnavailableError("The server is stopping.")
        started = time.perf_counter()
        status = "OK"
        servable: Servable | None = None
        self._under_way += 1
        try:
            servable = self.manager.find(model_spec)
            if self._batcher is None:
                return await self._run_alone(servable, api, job, deadline)
            return await self._run_in_batch(self._batcher, servable, api, job, size, deadline)
        except ServingError as error:
            status = error.name
            raise
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        finally:
            self._under_way -= 1
            seconds = time.perf_counter() - started
            self._record(servable, model_spec, api, entrypoint, status, seconds)

    async def _run_alone(self, servable: Servable, api: str, job: Job, deadline: float | None) -> Any:
        """Everything in one worker thread."""

        def work() -> Any:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceededError("The deadline passed before the request could be run.")
            model = _model_of(servable)
            plan = job(servable, model.signatures)
            started = time.perf_counter()
            outputs = model.run(plan.feeds, plan.fetches)
            self._record_run(servable, api, plan, outputs, time.perf_counter() - started)
            return plan.respond(outputs)

        # No await between `find` and `hold`, so that unloading cannot come between them. The hold ends with the
        # thread's work, not with the client's patience: a cancelled call may still be running.
        servable.hold()
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: servable.release())
        return await asyncio.wrap_future(future)

    async def _run_in_batch(
        self, batcher: Batcher, servable: Servable, api: str, job: Job, size: int, deadline: float | None
    ) -> Any:
        """Reads and writes on the event loop, where a change of threads would cost more than the work itself."""
        servable.hold()
        try:
            model = _model_of(servable)
            if size <= _INLINE_BYTES:
                plan = job(servable, model.signatures)
            else:
                plan = await asyncio.wrap_future(self._pool.submit(job, servable, model.signatures))
            started = time.perf_counter()
            outputs = await batcher.run(servable, model, plan.feeds, plan.fetches, deadline)
            self._record_run(servable, api, plan, outputs, time.perf_counter() - started)
            if sum(output.size for output in outputs) <= _INLINE_VALUES:
                return plan.respond(outputs)
            return await asyncio.wrap_future(self._pool.submit(plan.respond, outputs))
        finally:
            servable.release()

    def _record_run(self, servable: Servable, api: str, plan: Plan, outputs: Sequence[Array], seconds: float) -> None:
        self.metrics.record_runtime(servable.model_name, api, seconds)
        self.metrics.answers.record(servable.model_name, servable.version, plan.aliases, outputs)

    def metrics_page(self) -> str:
        """What Prometheus reads."""
        return self.metrics.page(
            (servable.model_name, servable.version)
            for servable in self.manager.servables()
            if servable.state is State.END
        )

    def _record(
        self, servable: Servable | None, spec: Any, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        """Counts a call; names that clients invent must not become labels, or the page grows without end."""
        name = spec.name if self.manager.states(spec.name) else ""
        self.metrics.record(name, api, entrypoint, status, seconds)
        if servable is not None:
            signature = spec.signature_name or DEFAULT_SIGNATURE
            known = servable.model is not None and signature in servable.model.signatures
            self.metrics.record_version(name, servable.version, signature if known else "", status, seconds)

    def metadata(self, request: Any) -> Any:
        """GetModelMetadataRequest to GetModelMetadataResponse."""
        _require_model_spec(request)
        if not request.metadata_field:
            raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_FIELD:
                raise InvalidArgumentError(f"Metadata field {field} is not supported")
        servable = self.manager.find(request.model_spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in (servable.model.signatures if servable.model else {}).items():
            signatures.signature_def[name].CopyFrom(signature)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.model_name
        response.model_spec.version.value = servable.version
        response.metadata[SIGNATURE_FIELD].Pack(signatures)
        return response

    def model_status(self, request: Any) -> Any:
        """GetModelStatusRequest to GetModelStatusResponse; a version label is not looked at."""
        _require_model_spec(request)
        name = request.model_spec.name
        states = self.manager.states(name)
        if request.model_spec.HasField("version"):
            version = request.model_spec.version.value
            states = [servable for servable in states if servable.version == version]
            if not states:
                raise NotFoundError(f"Could not find version {version} of model {name}")
        if not states:
            raise NotFoundError(f"Could not find any versions of model {name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for servable in states:
            entry = response.model_version_status.add(version=servable.version, state=servable.state.value)
            fill_status(entry.status, servable.error)
        return response

    async def drain(self, seconds: float) -> None:
        """Answers new calls with UNAVAILABLE, and waits for those under way.

        Clients that retry then go elsewhere; gRPC by itself would cancel calls that arrive while it stops. So even
        where nothing is under way the port stays open for a moment, and clients that call without pause learn of it.
        """
        self._draining = True
        began = time.monotonic()
        farewell, deadline = began + min(seconds, FAREWELL_SECONDS), began + seconds
        while time.monotonic() < farewell or (self._under_way and time.monotonic() < deadline):
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    def close(self) -> None:
        """Waits for what is running; no call may come any more."""
        if self._batcher is not None:
            self._batcher.close()
        self._pool.shutdown(wait=True)


def _model_of(servable: Servable) -> Model:
    if servable.model is None:
        raise NotFoundError(f"Servable not found for request: Specific({servable.model_name}, {servable.version})")
    return servable.model


def fill_status(status: Any, error: ServingError | None) -> None:
    """Writes an error, or OK, into a StatusProto."""
    status.error_code = 0 if error is None else error.code
    status.error_message = "" if error is None else error.message


def _require_model_spec(request: Message) -> None:
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
