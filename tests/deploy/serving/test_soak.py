"""An hour's life of a server in a minute: requests of all kinds, and version after version.

`SOAK_CHANGES=100 pytest -s tests/deploy/serving/test_soak.py` lives longer.
"""

import asyncio
import contextlib
import json
import os
import shutil
import time

import aiohttp
import psutil
import pytest

from deploy.serving import client_errors
from deploy.serving.client import AsyncPredictionClient
from deploy.serving.launch import ServerProcess

CHANGES = int(os.environ.get("SOAK_CHANGES", "24"))
SETTLED = CHANGES // 3
"""Allocators and caches have settled by then; the last third is compared with the one before."""


class Life:
    """What goes on around the server while versions change."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.answers = 0
        self.slowest = 0.0
        self.versions: set[int] = set()
        self.stopped = asyncio.Event()

    async def ask(self) -> None:
        """A patient client: its calls must never fail."""
        async with AsyncPredictionClient(self.server.target, "reviews", retries=0, timeout_seconds=60) as client:
            while not self.stopped.is_set():
                for call in (client.predict, client.explain):
                    started = time.monotonic()
                    answers = await call(["a good dress", "bad " * 50])
                    self.slowest = max(self.slowest, time.monotonic() - started)
                    assert [answer.label for answer in answers] == ["yes", "no"]
                    self.versions.add(answers[0].version)
                    self.answers += len(answers)
                await asyncio.sleep(0.01)

    async def trouble(self) -> None:
        """Wrong requests, clients that give up, connections that are left, and someone who reads the metrics."""
        url = self.server.rest_url
        while not self.stopped.is_set():
            async with AsyncPredictionClient(self.server.target, "reviews", timeout_seconds=0.002, retries=0) as hasty:
                with contextlib.suppress(client_errors.TimedOutError, client_errors.UnreachableError):
                    await hasty.predict(["good"])
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
                for body, status in (
                    ({"instances": [{"review": "good", "age": 1.0}]}, 200),
                    ({"instances": [{"review": 1}]}, 400),
                    ({"signature_name": "X", "instances": [1]}, 400),
                ):
                    async with session.post(f"{url}/v1/models/reviews:predict", data=json.dumps(body)) as answer:
                        assert answer.status == status, await answer.text()
                async with session.get(f"{url}/monitoring/prometheus/metrics") as answer:
                    assert answer.status == 200
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(b"POST /v1/models/reviews:predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            writer.close()
            await asyncio.sleep(0.05)

    async def change(self, base_path, sources) -> list[tuple[float, int, int]]:
        """Pushes version after version; after each: megabytes, threads and open files of the server."""
        process = psutil.Process(self.server.process.pid)
        measured = []
        for version in range(2, CHANGES + 2):
            source = sources[version % 2]
            await asyncio.to_thread(shutil.copytree, source, base_path / f".{version}")
            os.rename(base_path / f".{version}", base_path / str(version))
            deadline = time.monotonic() + 30
            while version not in self.versions:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"Version {version} did not answer.")
                await asyncio.sleep(0.02)
            await asyncio.to_thread(shutil.rmtree, base_path / str(version - 1))
            measured.append((process.memory_info().rss / 1e6, process.num_threads(), process.num_fds()))
        return measured


@pytest.mark.slow
def test_memory_threads_and_files_stay_flat(tmp_path, exported):
    base_path = tmp_path / "reviews"
    shutil.copytree(exported / "reviews", base_path / "1")
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    flags = (
        "--enable_batching",
        f"--monitoring_config_file={monitoring}",
        "--file_system_poll_wait_seconds=0.05",
    )

    async def live(server):
        life = Life(server)
        others = [asyncio.ensure_future(life.ask()) for _ in range(2)] + [asyncio.ensure_future(life.trouble())]
        try:
            sources = (exported / "reviews", exported / "reviews_biased")
            changing = asyncio.ensure_future(life.change(base_path, sources))
            await asyncio.wait([changing, *others], return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                if other.done():
                    other.result()
            return await changing, life
        finally:
            life.stopped.set()
            await asyncio.gather(*others)

    with ServerProcess("reviews", base_path, *flags) as server:
        measured, life = asyncio.run(live(server))
        log = "".join(server.log)
    settled, last = measured[SETTLED : 2 * SETTLED], measured[-SETTLED:]
    memory, threads, files = ([max(one[index] for one in part) for part in (settled, last)] for index in range(3))
    print(f"MB {memory}, threads {threads}, files {files}, {life.answers} answers, slowest {life.slowest:.2f} s")
    assert "Traceback" not in log, log
    assert life.answers > CHANGES * 4
    assert life.versions >= set(range(2, CHANGES + 2))
    assert memory[1] - memory[0] < 40
    assert threads[1] <= threads[0] + 3
    assert files[1] <= files[0] + 5
