"""Our server under load, beside a bare call of the same function, which no server can beat, and beside its peers.

    python -m benchmarks.serving workspace/reviews/serving/reviews
    python -m benchmarks.serving workspace/reviews_bert/serving/reviews_bert --peer PEER/bin/python

Every client is a closed loop on the loopback: it sends one row, waits for the answer, sends the next. Rows are those
that the trainer recorded in the model. All clients share one process that only moves bytes, but it shares the
processors with the server: "client CPU" is what it took of them. "CPU ms" are milliseconds of processor time per row.

"gRPC alone" answers the same requests with one recorded answer, without reading them: what is above it and the bare
call is this server's own work. "bare, as batched" is the signature called in process, in batches of the mean size that
the batching server formed, by as many threads as it has for batches; "of bare" compares rows per second with that.
"bare, row by row" is one row a call by as many threads as there are processors and clients: a server that does not
batch can use them all, so what batches gain over that is all that the processors allow. What the server adds itself is
also told in processor time per row, which does not blame it for the clients' share.

`--peer` is the interpreter of an environment of its own, of this Python's version, that holds torch, transformers,
fastapi, uvicorn, onnxruntime, onnx and tf2onnx. ONNX Runtime gets the trained network alone, without the word pieces,
by the same batches and threads. PyTorch behind FastAPI, for a BERT that reads one text, gets the preset's weights.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.served_model import newest, recorded_answer, recorded_rows, write_bodies, write_requests
from deploy.serving.launch import ServerProcess
from pipeline import assets

WARM_UP_SECONDS = 1.5
PEER = Path(__file__).with_name("serving_peer.py")
BARE, BARE_ALONE, ECHO = "bare, as batched", "bare, row by row", "gRPC alone"
BATCHING = """
max_batch_size { value: %d }
batch_timeout_micros { value: %d }
max_enqueued_batches { value: 100 }
num_batch_threads { value: %d }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Our server beside a bare call and its peers.")
    parser.add_argument("base_path", type=Path, help="Directory with the version directories of one model.")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=8.0, help="Of each measurement.")
    parser.add_argument("--max_batch_size", type=int, default=64)
    parser.add_argument("--batch_timeout_micros", type=int, default=1000)
    parser.add_argument("--num_batch_threads", type=int, default=2)
    parser.add_argument("--peer", help="Python of the peers' environment; default: none.")
    parser.add_argument("--preset", default="asset:minilm", help="Of the BERT behind FastAPI.")
    parser.add_argument("--max_len", type=int, default=128, help="Of its text.")
    arguments = parser.parse_args()
    rows = recorded_rows(newest(arguments.base_path))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        requests = write_requests(rows, "model", folder)
        found = [*serve(arguments, False, requests, folder), *serve(arguments, True, requests, folder)]
        batched = [one for one in found if one["peer"] == "server, batching"]
        loads = [(min(one["clients"], arguments.num_batch_threads), round(one["batch"])) for one in batched]
        found += bare(arguments, loads)
        found += echo(arguments, requests, folder)
        if arguments.peer:
            found += onnx(arguments, loads, folder)
        if arguments.peer and len(rows[0]) == 1:
            found += fastapi(arguments, write_bodies(rows, "model", folder))
    show(found)


def serve(arguments: argparse.Namespace, batching: bool, requests: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Our server with more and more clients."""
    monitoring = folder / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    flags = ["--file_system_poll_wait_seconds=0", f"--monitoring_config_file={monitoring}"]
    if batching:
        file = folder / "batching.config"
        limits = arguments.max_batch_size, arguments.batch_timeout_micros, arguments.num_batch_threads
        file.write_text(BATCHING % limits)
        flags += ["--enable_batching", f"--batching_parameters_file={file}"]
    with ServerProcess("model", arguments.base_path.absolute(), *flags) as server:
        for clients in arguments.clients:
            before = batches(server.rest_url)
            one = load(f"grpc://{server.target}", requests, clients, arguments.seconds, server.process.pid)
            rows, runs = (now - then for now, then in zip(batches(server.rest_url), before, strict=True))
            yield {"peer": "server, batching" if batching else "server", **one, "batch": rows / runs if runs else 1.0}


def batches(rest_url: str) -> tuple[float, float]:
    """Rows and runs of the server's batches so far."""
    with urllib.request.urlopen(f"{rest_url}/monitoring/prometheus/metrics", timeout=30) as answer:
        page = answer.read().decode()
    rows, runs = (
        sum(map(float, re.findall(rf"^:attention:serving:batch_size_{kind}\{{.*\}} (\S+)$", page, re.M)))
        for kind in ("sum", "count")
    )
    return rows, runs


def load(url: str, requests: Path, clients: int, seconds: float, pid: int) -> dict[str, Any]:
    """Loads a server that runs as a process; the first `WARM_UP_SECONDS` are left out."""
    process = psutil.Process(pid)
    total = seconds + WARM_UP_SECONDS
    command = [sys.executable, "-m", "benchmarks.serving_load", str(requests), "--url", url]
    spent = sum(process.cpu_times()[:2])
    output = subprocess.run(
        [*command, "--clients", str(clients), "--seconds", str(total)], stdout=subprocess.PIPE, check=True
    ).stdout
    spent = sum(process.cpu_times()[:2]) - spent
    told = json.loads(output)
    answers = len(told["took"])
    took = [
        took
        for sent, took in zip(told["sent"], told["took"], strict=True)
        if sent - told["began"] >= WARM_UP_SECONDS and sent + took <= told["began"] + total
    ]
    line = line_of(clients, 1, took, seconds, spent / max(answers, 1) * len(took))
    return line | {"client_cpu": told["cpu"] / max(answers, 1) * 1e3, "failed": len(told["failed"])}


def bare(arguments: argparse.Namespace, loads: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """The signature in a process of its own: by the batches of the server, and one row at a time."""
    processors = len(os.sched_getaffinity(0))
    loads = [*loads, *((min(clients, processors), 1) for clients in arguments.clients)]
    command = [sys.executable, "-m", "benchmarks.serving_bare", "call", str(arguments.base_path)]
    command += [",".join(f"{threads}x{size}" for threads, size in loads), str(arguments.seconds)]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)
    number = len(arguments.clients)
    found = lines_of(BARE, arguments.clients, loads[:number], told[:number])
    return found + lines_of(BARE_ALONE, arguments.clients, loads[number:], told[number:])


def onnx(arguments: argparse.Namespace, loads: list[tuple[int, int]], folder: Path) -> list[dict[str, Any]]:
    """The network by ONNX Runtime."""
    version = sysconfig.get_python_version()
    packages = Path(arguments.peer).parents[1] / "lib" / f"python{version}" / "site-packages"
    command = [sys.executable, "-m", "benchmarks.serving_bare", "onnx", str(arguments.base_path.absolute())]
    subprocess.run(
        [*command, str(packages), str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    command = [arguments.peer, str(PEER), "onnx", str(folder)]
    command += [",".join(f"{threads}x{size}" for threads, size in loads), str(arguments.seconds)]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    print(f"ONNX Runtime's logits differ from Keras's by at most {told['difference']:.1g}.")
    return lines_of("ONNX Runtime, bare", arguments.clients, loads, told["found"])


def echo(arguments: argparse.Namespace, requests: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """A gRPC server that does nothing, with more and more clients."""
    answer, port = folder / "answer", free_port()
    answer.write_bytes(recorded_answer(newest(arguments.base_path)))
    with started([sys.executable, "-m", "benchmarks.serving_echo", str(answer), str(port)], port) as process:
        for clients in arguments.clients:
            told = load(f"grpc://127.0.0.1:{port}", requests, clients, arguments.seconds, process.pid)
            yield {"peer": ECHO, **told}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def fastapi(arguments: argparse.Namespace, requests: Path) -> Iterator[dict[str, Any]]:
    """PyTorch behind FastAPI with more and more clients."""
    port = free_port()
    command = [arguments.peer, str(PEER), "fastapi", assets.resolve(arguments.preset), str(arguments.max_len)]
    with started([*command, str(port)], port) as process:
        for clients in arguments.clients:
            url = f"http://127.0.0.1:{port}/predict"
            yield {"peer": "PyTorch + FastAPI", **load(url, requests, clients, arguments.seconds, process.pid)}


@contextmanager
def started(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on a port of this machine."""
    with subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}) as process:
        try:
            for _ in range(1200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()


def lines_of(
    peer: str, clients: list[int], loads: list[tuple[int, int]], told: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Lines of what was called in process, beside the clients whose batches it got."""
    return [
        {"peer": peer, **line_of(number, size, one["took"], one["seconds"], one["cpu"]), "batch": size}
        for number, (_, size), one in zip(clients, loads, told, strict=True)
    ]


def line_of(clients: int, rows: int, took: list[float], seconds: float, cpu: float) -> dict[str, Any]:
    """One line of the table; `rows` is how many one call answers."""
    done = max(len(took) * rows, 1)
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [float("nan")] * 99
    return {
        "clients": clients,
        "rows_per_second": done / seconds,
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
        "cpu": cpu / done * 1e3,
    }


def show(found: list[dict[str, Any]]) -> None:
    """Prints the table, and what the server costs itself."""
    limits = {one["clients"]: one for one in found if one["peer"] == BARE}
    by_peer = {(one["peer"], one["clients"]): one for one in found}
    columns = ("clients", "batch", "rows/s", "of bare", "p50 ms", "p99 ms", "CPU ms", "client CPU", "failed")
    table = Table("", *columns)
    for one in found:
        table.add_row(
            one["peer"],
            str(one["clients"]),
            f"{one['batch']:.1f}" if "batch" in one else "",
            f"{one['rows_per_second']:,.0f}",
            f"{one['rows_per_second'] / limits[one['clients']]['rows_per_second']:.0%}",
            *(f"{one[name]:.3f}" if name == "cpu" else f"{one[name]:.2f}" for name in ("p50", "p99", "cpu")),
            f"{one['client_cpu']:.3f}" if "client_cpu" in one else "",
            str(one.get("failed", "")),
        )
    console = Console(width=120)
    console.print(table)
    for clients, limit in limits.items():
        ours, alone = by_peer["server, batching", clients], by_peer["server", clients]
        own, grpc = ours["cpu"] - limit["cpu"], by_peer[ECHO, clients]["cpu"]
        gain = ours["rows_per_second"] / alone["rows_per_second"]
        bare_gain = limit["rows_per_second"] / by_peer[BARE_ALONE, clients]["rows_per_second"]
        console.print(
            f"{clients} clients: the server adds {own:.3f} ms of processor time a row, {own / limit['cpu']:.1%} of the "
            f"bare call's, and gRPC alone takes {grpc:.3f}; batching gives {gain:.2f} times the rows, "
            f"and {bare_gain:.2f} times to the bare call, which is what the processors allow.",
            soft_wrap=True,
        )


if __name__ == "__main__":
    main()
