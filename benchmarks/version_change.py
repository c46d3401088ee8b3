"""Version after version while clients ask without pause: what fails, what waits, and what is left behind.

    python -m benchmarks.version_change workspace/reviews/serving/reviews --changes 100

Our server with batching and `--clients` closed loops over gRPC. First it is measured without a change, for `--seconds`;
then the newest version is copied again and again under the next number. A change lasts from the moment its directory
is there until the old version has left memory, and the next one begins at once. Latencies "during" are those of all
requests that were sent while a change was going on.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.served_model import newest, recorded_rows, write_requests
from deploy.serving.client_calls import CHANNEL_OPTIONS
from deploy.serving.launch import ServerProcess
from deploy.serving.model_server import Server

WARM_UP_SECONDS = 3.0
LONGEST_CHANGE_SECONDS = 300.0
BATCHING = """
max_batch_size { value: 64 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: %d }
"""
GONE = 50
"""`ModelVersionStatus.State.END`."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Version changes under load.")
    parser.add_argument("base_path", type=Path, help="Directory with the version directories of one model.")
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15.0, help="Of the measurement before the changes.")
    parser.add_argument("--num_batch_threads", type=int, default=2)
    parser.add_argument("--server_flag", action="append", default=[], help="One more flag of the server.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(measure(arguments, Path(folder)))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Runs it all; returns what was found."""
    source = newest(arguments.base_path)
    requests = write_requests(recorded_rows(source), "model", folder)
    base_path = folder / "model"
    copy(source, base_path, 1)
    batching = folder / "batching.config"
    batching.write_text(BATCHING % arguments.num_batch_threads)
    flags = ["--enable_batching", f"--batching_parameters_file={batching}", "--file_system_poll_wait_seconds=0.05"]
    with ServerProcess("model", base_path, *flags, *arguments.server_flag) as server:
        process = psutil.Process(server.process.pid)
        command = [sys.executable, "-m", "benchmarks.serving_load", str(requests), "--url", f"grpc://{server.target}"]
        command += ["--clients", str(arguments.clients), "--seconds", "1e9"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as load:
            try:
                time.sleep(WARM_UP_SECONDS)
                began = time.monotonic()
                time.sleep(arguments.seconds)
                before = (began, time.monotonic())
                left = [what_it_holds(process)]
                changes = []
                with grpc.insecure_channel(server.target, CHANNEL_OPTIONS) as channel:
                    status = Server(server.target, "model", channel, 60.0)
                    for version in range(2, arguments.changes + 2):
                        changes.append(change(source, base_path, version, status))
                        left.append(what_it_holds(process))
            finally:
                load.terminate()
                output = load.communicate()[0]
    return {**json.loads(output), "before": before, "changes": changes, "left": left}


def copy(source: Path, base_path: Path, version: int) -> None:
    """Puts a copy of a version in place whole."""
    shutil.copytree(source, base_path / f".{version}", copy_function=os.link)
    (base_path / f".{version}").rename(base_path / str(version))


def change(source: Path, base_path: Path, version: int, status: Server) -> tuple[float, float]:
    """Puts a version in place and waits until the one before it is gone: when that began and ended."""
    began = time.monotonic()
    copy(source, base_path, version)
    while True:
        states = {number: state.state for number, state in status.states().items()}
        if states.get(version) == 30 and states.get(version - 1) == GONE:
            break
        if time.monotonic() - began > LONGEST_CHANGE_SECONDS:
            raise SystemExit(f"Version {version} did not come, or the one before it did not go: {states}.")
        time.sleep(0.02)
    ended = time.monotonic()
    shutil.rmtree(base_path / str(version - 1))
    return began, ended


def what_it_holds(process: psutil.Process) -> tuple[float, int, int]:
    """MiB, threads and open files of a process."""
    return process.memory_info().rss / 2**20, process.num_threads(), process.num_fds()


def show(found: dict[str, Any]) -> None:
    """Prints two tables: latencies, and what the server holds."""
    requests = list(zip(found["sent"], found["took"], strict=True))
    periods = {"before": [found["before"]], "during": found["changes"]}
    table = Table("", "requests", "per second", "p50 ms", "p99 ms", "p99.9 ms", "slowest ms", "failed")
    p99 = {}
    for name, spans in periods.items():
        times = sorted(took for sent, took in requests if any(began <= sent < ended for began, ended in spans))
        cuts = statistics.quantiles(times, n=1000)
        p99[name] = cuts[989]
        seconds = sum(ended - began for began, ended in spans)
        table.add_row(
            name,
            f"{len(times):,}",
            f"{len(times) / seconds:,.0f}",
            *(f"{value * 1e3:.1f}" for value in (cuts[499], cuts[989], cuts[998], times[-1])),
            str(len(found["failed"])) if name == "during" else "",
        )
    console = Console(width=120)
    console.print(table)
    lengths = [ended - began for began, ended in found["changes"]]
    console.print(
        f"{len(lengths)} changes, {statistics.median(lengths):.2f} s each (median, longest {max(lengths):.2f}); "
        f"p99 during is {p99['during'] / p99['before']:.2f} times p99 before."
    )
    for error in sorted(set(found["failed"])):
        console.print(f"failed: {error}")
    third = max(len(lengths) // 3, 1)
    table = Table("the server holds", "before", "after a third", "at the end", "most")
    for place, name in enumerate(("MiB", "threads", "open files")):
        column = [one[place] for one in found["left"]]
        table.add_row(name, *(f"{value:,.0f}" for value in (column[0], column[third], column[-1], max(column))))
    console.print(table)


if __name__ == "__main__":
    main()
