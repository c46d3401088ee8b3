"""A server as a process of its own, from its start to the end that a signal brings."""

import shutil
import signal
import threading
import time

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


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why(base_path):
    (base_path / "1" / "saved_model.pb").unlink()
    with (
        pytest.raises(RuntimeError, match="Failed to start server. Error: UNKNOWN: 1 model"),
        ServerProcess("reviews", base_path, "--max_num_load_retries=0"),
    ):
        pass
