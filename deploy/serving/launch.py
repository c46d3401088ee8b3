"""Starts a server as a process of its own and waits until it answers."""

import re
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

_READY = re.compile(r"Ready: gRPC on [^ ]*:(?P<grpc>\d+)(?:, REST on [^ ]*:(?P<rest>\d+))?\.")


class ServerProcess:
    """A server on free ports of this machine alone; ends with the `with` block, drained.

    with ServerProcess("reviews", Path("workspace/reviews/serving/reviews")) as server:
        client = PredictionClient(server.target, "reviews")
    """

    def __init__(self, model_name: str, base_path: Path | None, *flags: str, timeout_seconds: float = 120.0) -> None:
        """Prepares the command; `__enter__` starts it.

        Args:
            model_name: Under which the model is served.
            base_path: Directory with the version directories; None: a `--model_config_file` among the flags says it.
            flags: More flags of the server, such as `--enable_model_warmup=false`.
            timeout_seconds: How long the start may take; importing TensorFlow is most of it.
        """
        self._command = [
            *(sys.executable, "-m", "deploy.serving.commands", "serve"),
            *(("--model_name", model_name, "--model_base_path", str(base_path)) if base_path is not None else ()),
            *("--port", "0", "--rest_api_port", "0", "--bind_address", "127.0.0.1", *flags),
        ]
        self._timeout_seconds = timeout_seconds
        self._ready = threading.Event()
        self.log: list[str] = []
        """What the server said on standard error."""
        self.target = ""
        """`host:port` of gRPC."""
        self.rest_url = ""

    def __enter__(self) -> "ServerProcess":
        """Starts the server.

        Raises:
            RuntimeError: It ended, or was not ready in time; the message holds what it said.
        """
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(self._timeout_seconds) or not self.target:
            self.stop()
            raise RuntimeError("The server did not start. It said:\n" + "".join(self.log))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, timeout_seconds: float = 60.0) -> int:
        """Ends the server by SIGTERM, or by force if it does not drain in time.

        Returns:
            The exit code.
        """
        self.process.terminate()
        try:
            self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout_seconds)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return int(self.process.returncode)

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.log.append(line)
            if match := _READY.search(line):
                self.target = f"127.0.0.1:{match['grpc']}"
                self.rest_url = f"http://127.0.0.1:{match['rest']}"
                self._ready.set()
        self._ready.set()
