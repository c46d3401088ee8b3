"""Clients of the serving benchmarks: closed loops that send one recorded row, wait for the answer, send the next.

    python -m benchmarks.serving_load REQUESTS --url grpc://127.0.0.1:8500 --clients 8 --seconds 5

Messages are bytes on both sides, so that a client costs as little as it can. REQUESTS is a file of JSON lines: a row's
message in base64 (`grpc://`), or its body (`http://`). Prints one line of JSON: when each request was sent
(`time.monotonic()`) and how many seconds it took, what failed, and the processor time of this process. SIGTERM ends it
early.
"""

import argparse
import asyncio
import base64
import json
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CLIENTS_PER_CHANNEL = 8
Send = Callable[[int, bytes], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Sends recorded rows in closed loops.")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    lines = arguments.requests.read_text(encoding="utf-8").splitlines()
    scheme, _, target = arguments.url.partition("://")
    messages = [base64.b64decode(line) if scheme == "grpc" else line.encode() for line in lines]
    over = _over_grpc if scheme == "grpc" else _over_http
    address = target if scheme == "grpc" else arguments.url
    print(json.dumps(asyncio.run(over(address, messages, arguments.clients, arguments.seconds))))


async def _over_grpc(target: str, messages: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    import grpc.aio

    channels = [
        grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)])
        for _ in range(-(-clients // CLIENTS_PER_CHANNEL))
    ]
    calls = [channel.unary_unary(PREDICT) for channel in channels]

    async def send(client: int, message: bytes) -> None:
        await calls[client % len(calls)](message, timeout=60)

    try:
        return await _loops(send, grpc.RpcError, messages, clients, seconds)
    finally:
        for channel in channels:
            await channel.close()


async def _over_http(url: str, messages: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=clients)
    timeout = aiohttp.ClientTimeout(60)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:

        async def send(client: int, message: bytes) -> None:
            async with session.post(url, data=message) as answer:
                await answer.read()
                answer.raise_for_status()

        return await _loops(send, aiohttp.ClientError, messages, clients, seconds)


async def _loops(
    send: Send, failure: type[Exception], messages: list[bytes], clients: int, seconds: float
) -> dict[str, Any]:
    sent: list[float] = []
    took: list[float] = []
    failed: list[str] = []
    stop = asyncio.Event()
    began, cpu = time.monotonic(), time.process_time()

    async def client(number: int) -> None:
        turn = number
        while (now := time.monotonic()) < began + seconds and not stop.is_set():
            turn += clients
            try:
                await send(number, messages[turn % len(messages)])
            except failure as error:
                failed.append(str(error)[:200])
            else:
                sent.append(now)
                took.append(time.monotonic() - now)

    loops = [asyncio.ensure_future(client(number)) for number in range(clients)]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(*loops)
    return {"sent": sent, "took": took, "failed": failed, "cpu": time.process_time() - cpu, "began": began}


if __name__ == "__main__":
    main()
