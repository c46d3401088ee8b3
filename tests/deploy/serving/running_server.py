"""A server on a thread of the test process: TensorFlow starts once for all tests."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from deploy.serving.flags import ServerOptions
from deploy.serving.server import Server


class RunningServer:
    """Starts on construction, on free ports of 127.0.0.1; ends with `stop` or the `with` block."""

    def __init__(self, **options: Any) -> None:
        merged: dict[str, Any] = {
            "port": 0,
            "rest_api_port": 0,
            "bind_address": "127.0.0.1",
            "file_system_poll_wait_seconds": 0.05,
            "max_num_load_retries": 0,
            "drain_seconds": 5.0,
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server = self.call(self._create(ServerOptions(**(merged | options))))
        try:
            addresses = self.call(self.server.start())
        except BaseException:
            self.stop()
            raise
        self.target = f"127.0.0.1:{addresses.grpc}"
        self.rest_url = f"http://127.0.0.1:{addresses.rest}"
        self.channel = grpc.insecure_channel(self.target)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    @staticmethod
    async def _create(options: ServerOptions) -> Server:
        return Server(options)

    def __enter__(self) -> "RunningServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.stop()

    def call(self, work: Any) -> Any:
        """Runs a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def stop(self) -> None:
        """Drains and ends the server and its loop."""
        self.call(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def states(self, name: str) -> dict[int, str]:
        """State name by version, as the manager has it."""

        async def read() -> dict[int, str]:
            return {servable.version: servable.state.name for servable in self.server.manager.states(name)}

        return self.call(read())

    def rest(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> tuple[int, Any]:
        """One HTTP request; returns the status and the parsed body."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.rest_url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for something that a background task brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not within {seconds} s: {condition}")
        time.sleep(0.02)
