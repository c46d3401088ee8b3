"""Something on this machine that takes what is sent to it, and a record with steps."""

import http.server
import threading

import pytest

from tests.pipeline.report.conftest import record

BLOCKED = {
    "name": "metric/accuracy", "passed": False, "value": 0.8, "limit": 0.85, "why": "accuracy is 0.8",
    "severity": "block", "step": "ReleaseGate",
}  # fmt: skip
WARNED = {
    "name": "drift/age", "passed": False, "value": None, "limit": None, "why": "not measured", "severity": "warn",
    "step": "DataGate",
}  # fmt: skip


class Receiver:
    """Of HTTP.

    Attributes:
        status: what it answers.
        got: (path, headers, body) of each request.
    """

    def __init__(self):
        self.status, self.got, self.url = 200, [], ""


@pytest.fixture
def receiver():
    found = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()


def steps(**states):
    """One after the other, ten seconds each; of the run of `record`, which began at three."""
    return [
        {"node": node, "state": state, "seconds": 10.0 if state != "cached" else 0.0,
         "started": f"2026-01-01T03:00:{10 * place:02}Z", "error": "the disk is full" if state == "failed" else ""}
        for place, (node, state) in enumerate(states.items())
    ]  # fmt: skip


@pytest.fixture
def blocked():
    """A run that a gate blocked."""
    ran = steps(ExampleGen="cached", DataGate="ran", ReleaseGate="ran")
    return record(steps=ran, gates=[WARNED, BLOCKED], why="gate metric/accuracy: accuracy is 0.8")
