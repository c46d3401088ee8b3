"""Starts an engine that Beam's steps can run on, on this machine alone: for trying, and for tests.

    python deploy/setup/beam_engine.py portable --workers 2
    python deploy/setup/beam_engine.py flink --workers 2          # Java 17, `apache-flink-libraries` from PyPI, mvn

It listens on 127.0.0.1 only, says on one line of JSON what `beam` of a config wants to know, and stops with Ctrl-C or
SIGTERM.

portable: Beam's own job service and a pool of worker processes, from PyPI alone. Beam's service waits for ever for a
worker that died; here the job begins anew with new workers, twice at most. Its steps write the same files again.
flink: a JobManager, task managers and a pool of workers beside them. Beam's job server for Flink is a Java program that
only Maven Central has: it is fetched by `mvn`, or named by --job-server-jar.
"""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent import futures
from pathlib import Path

import apache_beam
import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_job_api_pb2,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

HOST = "127.0.0.1"
ATTEMPTS = 3
START_SECONDS, STOP_SECONDS = 180, 60
FLINK_VERSIONS = ("1.19", "1.20", "2.0", "2.1", "2.2")
FLINK_CLASSES = (
    "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
    "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
)
FLINK_SETTINGS = {
    **dict.fromkeys(("jobmanager.rpc.address", "jobmanager.bind-host", "rest.address", "rest.bind-address"), HOST),
    **dict.fromkeys(("taskmanager.host", "taskmanager.bind-host"), HOST),
    "jobmanager.memory.process.size": "1g",
    "taskmanager.numberOfTaskSlots": 1,
    # Flink's shell scripts work these out of one number; without them each is wanted.
    "taskmanager.cpu.cores": 1.0,
    "taskmanager.memory.task.heap.size": "512m",
    "taskmanager.memory.task.off-heap.size": "128m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
    # A job outlives a task manager: it begins anew where its results are lost.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 3,
    "restart-strategy.fixed-delay.delay": "1s",
}
# Flink is compiled for older Javas and looks into what newer ones keep closed.
OPENED = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        "java.lang",
        "java.net",
        "java.nio",
        "java.time",
        "java.util",
        "java.util.concurrent",
        "sun.net.util",
    )
]
ATTEMPT_KEY = "attempt"
PRELOADED = ["tensorflow_text", "tfx.components", "components.batch_predict.predict"]
FORKS = multiprocessing.get_context("forkserver")


class EngineError(Exception):
    """One sentence for the person at the terminal."""


class WorkerDiedError(RuntimeError):
    """A worker ended before its job did."""


def stop(process):
    """Ends a process and waits for it."""
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def work(environment):
    """What a worker process does, once it is forked."""
    os.dup2(2, 1)  # standard output is the engine's one line
    os.environ.update(environment)
    sdk_worker_main.main([])


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Forks a process for each worker that an engine asks for, with the options of its job.

    They are forked off one that has imported what the steps need, which takes many times as long as a small step.
    Beam's own pool listens on every address of the machine, although it runs whatever it is sent, and knows nothing of
    a job's options, so none of the plugins that a graph's ops come from.
    """

    def __init__(self):
        self.attempts = {}  # name → a future, which fails if one of the attempt's workers dies
        self._running = {}
        self._server = grpc.server(futures.ThreadPoolExecutor())
        self.address = f"{HOST}:{self._server.add_insecure_port(f'{HOST}:0')}"
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(self, self._server)
        self._server.start()

    def StartWorker(self, request, context):  # noqa: N802  # gRPC's name
        told = [("worker_id", request.worker_id)]
        with grpc.insecure_channel(request.provision_endpoint.url) as channel:
            stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
            info = stub.GetProvisionInfo(beam_provision_api_pb2.GetProvisionInfoRequest(), metadata=told).info
        environment = {"WORKER_ID": request.worker_id}
        environment["PIPELINE_OPTIONS"] = json_format.MessageToJson(info.pipeline_options)
        for name, place in (("CONTROL", request.control_endpoint), ("LOGGING", request.logging_endpoint)):
            service = endpoints_pb2.ApiServiceDescriptor(url=place.url)
            environment[f"{name}_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(service)
        process = FORKS.Process(target=work, args=(environment,))
        process.start()
        attempt = info.metadata.get(ATTEMPT_KEY, "")
        self._running[request.worker_id] = attempt, process
        threading.Thread(target=self._watch, args=(attempt, process), daemon=True).start()
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request, context):  # noqa: N802
        _, process = self._running.pop(request.worker_id)
        process.terminate()
        return beam_fn_api_pb2.StopWorkerResponse()

    def _watch(self, attempt, process):
        process.join()
        code = process.exitcode
        waiting = self.attempts.pop(attempt, None) if code else None
        if waiting is not None:
            waiting.set_exception(WorkerDiedError(f"worker {process.pid} ended with code {code}"))

    def stop(self, attempt=None):
        """Stops the workers of one attempt, or of all."""
        for worker, (of_attempt, process) in list(self._running.items()):
            if attempt in (None, of_attempt):
                del self._running[worker]
                process.terminate()


class Job(local_job_service.BeamJob):
    """Runs on several workers, and begins anew when one of them dies."""

    pool: WorkerPool
    workers: int

    def _invoke_runner(self):
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        for number in range(1, ATTEMPTS + 1):
            attempt = f"{self._job_id}/{number}"
            self._provision_info.provision_info.metadata[ATTEMPT_KEY] = attempt
            outcome = self.pool.attempts[attempt] = futures.Future()
            # What waits for a dead worker waits for ever, so it is left behind.
            threading.Thread(target=self._attempt, args=(attempt, outcome), daemon=True).start()
            try:
                return outcome.result()
            except WorkerDiedError as error:
                print(f"beam_engine: {error}; attempt {number} of {ATTEMPTS} is given up", file=sys.stderr, flush=True)
                if number == ATTEMPTS:
                    raise
            finally:
                self.pool.attempts.pop(attempt, None)
                self.pool.stop(attempt)

    def _attempt(self, attempt, outcome):
        pipeline = beam_runner_api_pb2.Pipeline()
        pipeline.CopyFrom(self._pipeline_proto)
        try:
            runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
            runner._num_workers = self.workers  # which it takes from no option where the pipeline comes as a proto
            result = runner.run_via_runner_api(pipeline, self.pipeline_options())
        except Exception as error:  # noqa: BLE001  # whatever it is, the job's own thread tells it
            if self.pool.attempts.pop(attempt, None) is not None:
                outcome.set_exception(error)
        else:
            if self.pool.attempts.pop(attempt, None) is not None:
                outcome.set_result(result)


@contextlib.contextmanager
def portable(arguments):
    """Beam's job service in this process, its workers in others."""
    pool = WorkerPool()
    kind = type("Job", (Job,), {"pool": pool, "workers": arguments.workers})
    service = local_job_service.LocalJobServicer(beam_job_type=kind)
    try:
        port = service.start_grpc_server(arguments.port)
        yield {"runner": "portable", "job_endpoint": f"{HOST}:{port}", "worker_pool": pool.address}
    finally:
        pool.stop()
        service.stop()


@contextlib.contextmanager
def flink(arguments):
    """A JobManager and task managers of one slot each, and a pool of workers."""
    libraries, version = flink_libraries()
    jar = arguments.job_server_jar or job_server_jar(version, arguments.cache)
    port = arguments.port or free_port()
    with tempfile.TemporaryDirectory(prefix="flink-") as folder, contextlib.ExitStack() as stack:
        conf = Path(folder, "conf")
        conf.mkdir()
        settings = {**FLINK_SETTINGS, "jobmanager.rpc.port": free_port(), "rest.port": port, "io.tmp.dirs": folder}
        (conf / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
        managers: list[tuple[subprocess.Popen, Path]] = []
        for name in FLINK_CLASSES[:1] + FLINK_CLASSES[1:] * arguments.workers:
            path = Path(folder, f"{name.rpartition('.')[2]}-{len(managers)}.log")
            log = stack.enter_context(path.open("w", encoding="utf-8"))
            command = ["java", "-Xmx1g", *OPENED, "-cp", f"{libraries}/*", name, "--configDir", str(conf)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(stop, process)
            managers.append((process, path))
        wait_for_flink(port, arguments.workers, managers)
        pool = WorkerPool()
        stack.callback(pool.stop)
        yield {
            "runner": "flink",
            "master": f"{HOST}:{port}",
            "version": version,
            "job_server_jar": str(jar),
            "parallelism": arguments.workers,
            "worker_pool": pool.address,
        }


def flink_libraries():
    """The folder of Flink's jars, and Flink's version as Beam names it."""
    if shutil.which("java") is None:
        raise EngineError("Flink is a Java program, and there is no `java` here: install Java 17.")
    found = importlib.util.find_spec("pyflink")
    for place in (found and found.submodule_search_locations) or ():
        for dist in Path(place, "lib").glob("flink-dist-*.jar"):
            version = ".".join(dist.stem.removeprefix("flink-dist-").split(".")[:2])
            if version in FLINK_VERSIONS:
                return dist.parent, version
    raise EngineError(
        f"Flink is not here in a version that Beam takes ({', '.join(FLINK_VERSIONS)}): "
        "pip install --no-deps 'apache-flink-libraries==2.2.*'"
    )


def job_server_jar(version, cache):
    """Beam's job server for Flink, fetched once."""
    name = f"beam-runners-flink-{version}-job-server"
    jar = cache / f"{name}-{apache_beam.__version__}.jar"
    if jar.exists():
        return jar
    cure = "fetch it elsewhere and name it by --job-server-jar, or start `portable`, which needs PyPI alone."
    if shutil.which("mvn") is None:
        raise EngineError(f"Beam's job server for Flink lies on Maven Central, and there is no `mvn` here: {cure}")
    artifact = f"org.apache.beam:{name}:{apache_beam.__version__}"
    command = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={cache}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or not jar.exists():
        said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "nothing")
        raise EngineError(f"Maven Central gives no {artifact} here: {cure} mvn said: {said[:300]}")
    return jar


def wait_for_flink(port, workers, managers):
    """Waits until every task manager has told the JobManager that it is there."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(f"http://{HOST}:{port}/overview", timeout=5) as answer,
        ):
            if json.load(answer)["taskmanagers"] == workers:
                return
        for process, log in managers:
            if process.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(errors="replace").splitlines()
                said = [line for line in lines if "Exception" in line] or lines
                raise EngineError("\n".join([f"Flink does not start; {log.name} says:", *said[-3:]]))
        time.sleep(0.2)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["portable", "flink"])
    parser.add_argument("--workers", type=int, default=2, help="flink: task managers, with one slot each")
    parser.add_argument("--port", type=int, default=0, help="of the engine; default: any that is free")
    parser.add_argument("--job-server-jar", type=Path, help="flink: instead of the one on Maven Central")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--cache", type=Path, default=base / "attention-pipeline" / "beam", help="of that file")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    FORKS.set_forkserver_preload(PRELOADED)
    try:
        with portable(arguments) if arguments.kind == "portable" else flink(arguments) as facts:
            print(json.dumps(facts), flush=True)
            while True:
                signal.pause()
    except EngineError as error:
        print(f"beam_engine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
