"""The server process: models, gRPC, REST, health and reflection, from start to drained end."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import tensorflow as tf
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from deploy.serving.batching_config import batching_parameters
from deploy.serving.core import ServingCore
from deploy.serving.flags import ServerOptions
from deploy.serving.grpc_services import rpc_handlers
from deploy.serving.metrics import ServingMetrics
from deploy.serving.model_config import read_model_config, single_model_config
from deploy.serving.model_manager import LoadOptions, ModelManager
from deploy.serving.monitoring_config import metrics_path
from deploy.serving.rest import create_app
from deploy.serving.servable import Servable
from deploy.serving.service_descriptors import SERVICES, service_descriptors
from deploy.serving.session import LoadedModel
from deploy.serving.ssl_config import server_credentials
from deploy.serving.status import ServingError
from deploy.serving.warmup import warm_up

logger = logging.getLogger("attention.serving")

_UNLIMITED = 2**31 - 1
_LAST_ANSWERS_SECONDS = 1.0
_MOST_FILES = 1 << 20


@dataclass(frozen=True)
class Addresses:
    """Where a running server listens; `rest` is None without REST."""

    grpc: int
    rest: int | None


class Server:
    """A whole server on the running event loop."""

    def __init__(self, options: ServerOptions) -> None:
        """Reads the configuration files; nothing is loaded and no port is taken yet.

        Raises:
            ServingError: A configuration file cannot be read.
        """
        self._options = options
        self._metrics_path = metrics_path(options.monitoring_config_file)
        self._credentials = server_credentials(options.ssl_config_file)
        self._config = self._read_config()
        self.manager = ModelManager(
            self._load,
            LoadOptions(
                file_system_poll_wait_seconds=options.file_system_poll_wait_seconds,
                max_num_load_retries=options.max_num_load_retries,
                load_retry_interval_seconds=options.load_retry_interval_micros / 1e6,
                allow_version_labels_for_unavailable_models=options.allow_version_labels_for_unavailable_models,
            ),
        )
        workers = options.grpc_max_threads or 4 * (os.cpu_count() or 1)
        batching = batching_parameters(options.enable_batching, options.batching_parameters_file)
        self.core = ServingCore(self.manager, ServingMetrics(), workers, batching)
        self._health = health.aio.HealthServicer()
        self._grpc: Any = None
        self._rest: web.AppRunner | None = None
        self._config_poll: asyncio.Task[None] | None = None

    async def start(self) -> Addresses:
        """Loads the models, then takes the ports: a client that can connect is answered.

        Raises:
            ServingError: A model cannot be served.
            OSError: A port is taken.
        """
        await self.manager.reload(self._config, wait_for_base_path=True)
        self.manager.start()
        addresses = Addresses(await self._start_grpc(), await self._start_rest())
        if self._options.model_config_file is not None and self._options.model_config_file_poll_wait_seconds > 0:
            self._config_poll = asyncio.get_running_loop().create_task(self._poll_config())
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return addresses

    async def stop(self) -> None:
        """Turns health off, takes no new calls, waits for those under way, frees the models."""
        await self._health.enter_graceful_shutdown()
        if self._config_poll is not None:
            self._config_poll.cancel()
        await self.core.drain(self._options.drain_seconds)
        if self._grpc is not None:
            await self._grpc.stop(_LAST_ANSWERS_SECONDS)
        if self._rest is not None:
            await self._rest.cleanup()
        self.core.close()
        await self.manager.stop()

    def _read_config(self) -> Any:
        if self._options.model_config_file is not None:
            return read_model_config(self._options.model_config_file)
        return single_model_config(self._options.model_name, os.path.abspath(self._options.model_base_path))

    def _load(self, servable: Servable) -> LoadedModel:
        """Loads and warms up one version; runs in the loading thread."""
        options = self._options
        threads = (
            options.tensorflow_intra_op_parallelism or options.tensorflow_session_parallelism,
            options.tensorflow_inter_op_parallelism or options.tensorflow_session_parallelism,
        )
        model = LoadedModel(servable.path, threads)
        try:
            if options.enable_model_warmup:
                warm_up(servable.path, model.signatures, model)
        except ServingError:
            model.close()
            raise
        return model

    async def _start_grpc(self) -> int:
        arguments = [
            ("grpc.max_send_message_length", _UNLIMITED),
            ("grpc.max_receive_message_length", _UNLIMITED),
            ("grpc.so_reuseport", 0),
            *self._options.channel_arguments(),
        ]
        server = grpc.aio.server(options=arguments)
        server.add_generic_rpc_handlers(rpc_handlers(self.core))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server, service_descriptors()
        )
        address = f"{self._options.bind_address}:{self._options.port}"
        try:
            if self._credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {address}: {error}") from error
        await server.start()
        self._grpc = server
        return int(port)

    async def _start_rest(self) -> int | None:
        if self._options.rest_api_port is None:
            return None
        app = create_app(self.core, self._metrics_path, self._options.rest_api_timeout_in_ms / 1e3)
        # A client that hangs up takes its request out of the queue.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_ANSWERS_SECONDS, handler_cancellation=True)
        await runner.setup()
        self._rest = runner
        site = web.TCPSite(runner, self._options.bind_address, self._options.rest_api_port)
        await site.start()
        return int(runner.addresses[0][1])

    async def _poll_config(self) -> None:
        while True:
            await asyncio.sleep(self._options.model_config_file_poll_wait_seconds)
            try:
                config = await asyncio.to_thread(self._read_config)
                if config != self._config:
                    await self.manager.reload(config)
                    self._config = config
            except ServingError as error:
                logger.error("The model config file is not taken over: %s", error)


async def serve(options: ServerOptions, on_ready: Callable[[Addresses], None] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Args:
        options: Of the server.
        on_ready: Is told where the server listens.

    Raises:
        ServingError: A model or a configuration file cannot be served.
        OSError: A port is taken.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(options)
    starting = loop.create_task(server.start())
    waiting = loop.create_task(stopping.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            addresses = starting.result()
            # Collections need not walk through TensorFlow again and again: it is here to stay.
            gc.collect()
            gc.freeze()
            if on_ready is not None:
                on_ready(addresses)
            await waiting
    finally:
        for task in (starting, waiting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ServingError, OSError):
                await task
        logger.info("Stopping.")
        await server.stop()


def _is_fault_of_server(record: logging.LogRecord) -> bool:
    """Whether a log record is worth its line: what clients break must not fill the log."""
    error = record.exc_info[1] if record.exc_info else None
    # Bytes that are no HTTP are answered; an answer that gRPC cannot send has a client that went away.
    return not (isinstance(error, HttpProcessingError) or type(error).__name__ == "ExecuteBatchError")


def allow_many_connections() -> None:
    """Takes as many open files as the system allows: each connection is one, and shells commonly begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_server(options: ServerOptions) -> int:
    """Runs a server in this process until it is told to stop.

    Returns:
        The exit code: 0 after a drained end, 1 if the server could not start (the reason is on standard error).
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    allow_many_connections()
    logger.setLevel(logging.INFO)
    tf.get_logger().setLevel("ERROR")
    for name in ("aiohttp.server", "grpc._cython.cygrpc"):
        logging.getLogger(name).addFilter(_is_fault_of_server)

    def announce(addresses: Addresses) -> None:
        rest = "" if addresses.rest is None else f", REST on {options.bind_address}:{addresses.rest}"
        print(f"Ready: gRPC on {options.bind_address}:{addresses.grpc}{rest}.", file=sys.stderr, flush=True)

    try:
        asyncio.run(serve(options, announce))
    except (ServingError, OSError, ValueError) as error:
        print(f"Failed to start server. Error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0
