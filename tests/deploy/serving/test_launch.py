"""A server as a process of its own, from its start to the end that a signal brings."""

import contextlib
import json
import resource
import shutil
import signal
import socket
import threading
import time

import psutil
import pytest

from deploy.serving.client import PredictionClient
from deploy.serving.client_errors import UnreachableError
from deploy.serving.launch import ServerProcess
from tests.deploy.serving.running_server import wait_until


@pytest.fixture
def base_path(tmp_path, exported):
    shutil.copytree(exported / "reviews", tmp_path / "reviews" / "1")
    return tmp_path / "reviews"


@pytest.mark.slow
def test_a_process_serves_takes_new_versions_and_drains_on_sigterm(base_path, exported):
    answers, failures, stop = [], [], threading.Event()
    with ServerProcess("reviews", base_path) as server:

        def ask():
            with PredictionClient(server.target, "reviews", retries=0) as client:
                while not stop.is_set():
                    try:
                        answers.append(client.predict(["good"] * 8)[0].version)
                    except UnreachableError as error:
                        failures.append(error)
                        return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) > 20)
        (base_path / "2").mkdir()  # half of a version
        wait_until(lambda: any("{name: reviews version: 2} is refused" in line for line in server.log))
        shutil.copytree(exported / "reviews_biased", base_path / ".3")
        (base_path / ".3").rename(base_path / "3")
        wait_until(lambda: answers[-1] == 3)
        assert failures == []
        assert set(answers) == {1, 3}
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        stop.set()
        for thread in threads:
            thread.join()
        # Draining answers what it took: clients see a closed port, not a broken call.
        assert all("UNAVAILABLE" in str(error) for error in failures)


@pytest.mark.slow
def test_a_killed_server_serves_again_in_seconds(base_path):
    with ServerProcess("reviews", base_path) as server:
        server.process.kill()
        server.process.wait(10)
    started = time.monotonic()
    with ServerProcess("reviews", base_path) as server, PredictionClient(server.target, "reviews") as client:
        assert client.predict(["good"])[0].label == "yes"
    assert time.monotonic() - started < 60


IDLE = 1500
"""Connections to each port that say nothing; together more than the 1,024 files of a common shell."""


@pytest.fixture
def few_files():
    """Gives processes that are started the limit on open files of a common shell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * IDLE:
        pytest.skip(f"needs {4 * IDLE} open files; the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_thousands_of_idle_and_some_slow_clients_keep_nobody_waiting(base_path, few_files):
    body = json.dumps({"instances": [{"review": "good", "age": 1.0}]}).encode()
    head = b"POST /v1/models/reviews:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with ServerProcess("reviews", base_path) as server, contextlib.ExitStack() as connections:
        few_files()
        process = psutil.Process(server.process.pid)
        before = process.num_fds()
        ports = [int(address.rpartition(":")[2]) for address in (server.target, server.rest_url)]

        def connect(port):
            return connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))

        for port in ports:
            for _ in range(IDLE):
                connect(port)
        wait_until(lambda: process.num_fds() > before + 2 * IDLE * 0.95)
        slow = [connect(ports[1]) for _ in range(20)]
        sent = head % len(body) + body
        with PredictionClient(server.target, "reviews", timeout_seconds=20, retries=0) as client:
            for start in range(0, len(sent), 10):
                for connection in slow:
                    connection.sendall(sent[start : start + 10])
                assert client.predict(["good"])[0].label == "yes"
        for connection in slow:
            answer = b"".join(iter(lambda connection=connection: connection.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"][0]["label"] == "yes"
        connections.close()
        wait_until(lambda: process.num_fds() < before + 50)
        assert not [line for line in server.log if "Error" in line or "Traceback" in line]


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why(base_path):
    (base_path / "1" / "saved_model.pb").unlink()
    with (
        pytest.raises(RuntimeError, match="Failed to start server. Error: UNKNOWN: 1 model"),
        ServerProcess("reviews", base_path, "--max_num_load_retries=0"),
    ):
        pass
