"""Our server under load, beside a bare call of the same function in process, which no server can beat.

    python benchmarks/serving.py workspace/reviews/serving/reviews            # about three minutes
    python benchmarks/serving.py workspace/reviews/serving/reviews --quick    # a minute

Every client is a closed loop over gRPC on the loopback: it sends one row, waits for the answer, sends the next. Rows
are those that the trainer recorded in the model (`assets.extra/tf_serving_warmup_requests`). All clients share one
process that only moves bytes, but it shares the processors with the server: `client CPU` is what it took of them.
"CPU ms" are milliseconds of processor time per row. "of bare" compares rows per second with the bare call that is
given as many rows at once as there are clients; it is the limit if clients cost nothing.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from deploy.serving.launch import ServerProcess

WARM_UP_SECONDS = 1.5
PREDICT = "/tensorflow.serving.PredictionService/Predict"
BATCHING = """
max_batch_size { value: 64 }
batch_timeout_micros { value: %d }
max_enqueued_batches { value: 100 }
num_batch_threads { value: %d }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Our server beside a bare call.")
    parser.add_argument("base_path", type=Path, help="Directory with the version directories of one model.")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=8.0, help="Of each measurement.")
    parser.add_argument("--batch_timeout_micros", type=int, default=1000)
    parser.add_argument("--num_batch_threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="Two seconds of each.")
    parser.add_argument("--measure", choices=("bare", "load"), help=argparse.SUPPRESS)
    parser.add_argument("--target", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    seconds = 2.0 if arguments.quick else arguments.seconds
    if arguments.measure == "bare":
        print(json.dumps(measure_bare(newest(arguments.base_path), arguments.clients, seconds)))
    elif arguments.measure == "load":
        requests = recorded_rows(newest(arguments.base_path))
        print(json.dumps(asyncio.run(measure_load(arguments.target, requests, arguments.clients[0], seconds))))
    else:
        found = in_new_process("bare", arguments.base_path, arguments.clients, seconds)
        for batching in (False, True):
            found += measure_server(arguments, batching, seconds)
        print_table(found)


def newest(base_path: Path) -> Path:
    """The directory of the newest version."""
    versions = [int(path.name) for path in base_path.iterdir() if path.name.isdigit()]
    if not versions:
        raise SystemExit(f"There is no version under {base_path}.")
    return base_path / str(max(versions))


def recorded_rows(path: Path) -> list[Any]:
    """PredictRequests of one row each, from the requests that were recorded for `serving_default`."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    requests = []
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        recorded = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        if not recorded.inputs or recorded.model_spec.signature_name not in ("", "serving_default"):
            continue
        columns = {name: tf.make_ndarray(tensor) for name, tensor in recorded.inputs.items()}
        for row in range(min(len(column) for column in columns.values())):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "model"
            for name, column in columns.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(column[row : row + 1]))
            requests.append(request)
    if not requests:
        raise SystemExit(f"No request for serving_default is recorded in {file}.")
    return requests


def measure_bare(path: Path, sizes: list[int], seconds: float) -> list[dict[str, Any]]:
    """Calls the signature in this process with as many rows at once as there are clients elsewhere."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  # registers the operations that text models hold

    requests = recorded_rows(path)
    model = tf.saved_model.load(str(path))
    function = model.signatures["serving_default"]
    found = []
    for size in sizes:
        names = requests[0].inputs
        rows = [requests[number % len(requests)] for number in range(size)]
        feeds = {name: tf.concat([tf.make_ndarray(row.inputs[name]) for row in rows], axis=0) for name in names}
        times: list[float] = []
        until = time.perf_counter() + WARM_UP_SECONDS + seconds
        begun = cpu = 0.0
        while (now := time.perf_counter()) < until:
            if not begun and now > until - seconds:
                begun, cpu = now, time.process_time()
                times.clear()
            function(**feeds)
            times.append(time.perf_counter() - now)
        elapsed, spent = time.perf_counter() - begun, time.process_time() - cpu
        found.append(row_of("bare function", size, size, times, elapsed, spent, 0.0))
    return found


def measure_server(arguments: argparse.Namespace, batching: bool, seconds: float) -> list[dict[str, Any]]:
    """Starts a server and loads it with more and more clients."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--file_system_poll_wait_seconds=0"]
        if batching:
            file = Path(folder) / "batching.config"
            file.write_text(BATCHING % (arguments.batch_timeout_micros, arguments.num_batch_threads))
            flags += ["--enable_batching", f"--batching_parameters_file={file}"]
        name = "server, batching" if batching else "server"
        with ServerProcess("model", arguments.base_path.absolute(), *flags) as server:
            process = psutil.Process(server.process.pid)
            for clients in arguments.clients:
                before = cpu_seconds(process)
                (load,) = in_new_process("load", arguments.base_path, [clients], seconds, server.target)
                share = seconds / (seconds + WARM_UP_SECONDS)
                spent = (cpu_seconds(process) - before) * share
                row = row_of(name, clients, 1, load["times"], load["seconds"], spent, load["cpu"])
                found.append(row | {"failed": load["failed"]})
    return found


async def measure_load(target: str, requests: list[Any], clients: int, seconds: float) -> list[dict[str, Any]]:
    """Closed loops over one channel per eight clients; messages are bytes on both sides."""
    import grpc.aio

    messages = [request.SerializeToString() for request in requests]
    channels = [
        grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) for _ in range((clients + 7) // 8)
    ]
    calls = [channel.unary_unary(PREDICT) for channel in channels]
    times: list[float] = []
    failed = 0
    until = time.perf_counter() + WARM_UP_SECONDS + seconds

    async def client(number: int) -> None:
        nonlocal failed
        call, turn = calls[number % len(calls)], number
        while (sent := time.perf_counter()) < until:
            turn += clients
            try:
                await call(messages[turn % len(messages)], timeout=30)
            except grpc.RpcError:
                failed += 1
            else:
                if sent > until - seconds:
                    times.append(time.perf_counter() - sent)

    tasks = [asyncio.ensure_future(client(number)) for number in range(clients)]
    await asyncio.sleep(WARM_UP_SECONDS)
    cpu = time.process_time()
    await asyncio.gather(*tasks)
    spent = time.process_time() - cpu
    for channel in channels:
        await channel.close()
    return [{"times": times, "seconds": seconds, "cpu": spent, "failed": failed}]


def in_new_process(
    what: str, base_path: Path, clients: list[int], seconds: float, target: str = ""
) -> list[dict[str, Any]]:
    """Measures in a process that does nothing else."""
    command = [sys.executable, __file__, str(base_path), "--measure", what, "--seconds", str(seconds)]
    command += ["--target", target, "--clients", *map(str, clients)]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    return list(json.loads(output))


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time that a process has had."""
    spent = process.cpu_times()
    return spent.user + spent.system


def row_of(
    name: str, clients: int, rows: int, times: list[float], seconds: float, cpu: float, client_cpu: float
) -> dict[str, Any]:
    """One line of the table; `rows` is how many one call answers."""
    done = max(len(times) * rows, 1)
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [float("nan")] * 99
    return {
        "peer": name,
        "clients": clients,
        "rows_per_second": done / seconds,
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
        "cpu": cpu / done * 1e3,
        "client_cpu": client_cpu / done * 1e3,
        "failed": 0,
    }


def print_table(found: list[dict[str, Any]]) -> None:
    bare = {one["clients"]: one["rows_per_second"] for one in found if one["peer"] == "bare function"}
    print(
        f"{'':20}{'clients':>8}{'rows/s':>9}{'of bare':>9}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'CPU ms':>9}{'client CPU':>12}{'failed':>8}"
    )
    for one in found:
        print(
            f"{one['peer']:20}{one['clients']:>8}{one['rows_per_second']:>9,.0f}"
            f"{one['rows_per_second'] / bare[one['clients']]:>9.0%}{one['p50']:>9.2f}{one['p99']:>9.2f}"
            f"{one['cpu']:>9.3f}{one['client_cpu']:>12.3f}{one['failed']:>8}"
        )


if __name__ == "__main__":
    main()
