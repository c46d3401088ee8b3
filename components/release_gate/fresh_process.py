"""The fresh process that loads models as a server does: it replays the recorded requests, then answers questions."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

REPLAY_SCRIPT = Path(__file__).with_name("replay.py")
RESULT_FILE = "replay.json"


class QuestionError(RuntimeError):
    """The process gave no answer; the message says why."""


class FreshProcess:
    """A running `replay.py`; `fresh_process` makes and ends it."""

    def __init__(self, process: subprocess.Popen, errors: Any, timeout_seconds: float):
        self._process, self._errors, self._timeout_seconds = process, errors, timeout_seconds
        self._questions, self._answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        self._late = False

    def ask(
        self,
        model_dir: Path,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        batches: Sequence[np.ndarray],
        outputs: Sequence[str],
        at_once: int = 1,
    ) -> dict[str, Any]:
        """Asks a model about rows.

        Args:
            model_dir: of the SavedModel; loaded the first time.
            signature: of the Predict API.
            inputs: alias → `(rows,)`; what the model does not take is left out, what it lacks is missing in all rows.
            batches: row numbers, each `(batch,)`.
            outputs: aliases that are wanted; what the model does not give is left out.
            at_once: how many batches run at a time.

        Returns:
            `outputs` (for each batch alias → array), `seconds` (for each batch), `missing` (inputs that were lacking).

        Raises:
            QuestionError: the process has ended or is late, or the model cannot be asked.
        """
        question = {
            "model": str(model_dir.absolute()),
            "signature": signature,
            "inputs": dict(inputs),
            "batches": list(batches),
            "outputs": list(outputs),
            "at_once": at_once,
        }
        with self._deadline():
            try:
                pickle.dump(question, self._questions)
                self._questions.flush()
                answer = pickle.load(self._answers)
            except (OSError, EOFError, pickle.UnpicklingError, ValueError):
                raise QuestionError(self.fault()) from None
        if answer["error"]:
            raise QuestionError(answer["error"])
        return answer

    def wait_for(self, result_file: Path) -> tuple[dict[str, Any], str]:
        """Waits for the end of the replay.

        Returns:
            its result, and what went wrong with the process itself.
        """
        with self._deadline():
            while not result_file.exists():
                try:
                    self._process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                if not result_file.exists():
                    return {}, self.fault()
        return json.loads(result_file.read_text(encoding="utf-8")), ""

    def fault(self) -> str:
        """Why the process has ended."""
        code = self._process.wait()
        if self._late:
            return f"it was not done within {self._timeout_seconds:g} s"
        self._errors.seek(0)
        tail = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the process ended with {ended}{': ' + tail[0] if tail else ''}"

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        timer = threading.Timer(self._timeout_seconds, self._kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill(self) -> None:
        self._late = True
        self._process.send_signal(signal.SIGKILL)


@contextmanager
def fresh_process(model_dir: Path, result_file: Path, timeout_seconds: float) -> Iterator[FreshProcess]:
    """Starts the process on a model; its replay begins at once.

    Args:
        model_dir: the SavedModel with its recorded requests.
        result_file: gets what the replay found.
        timeout_seconds: for the replay, and for each question.
    """
    result_file.unlink(missing_ok=True)
    command = [sys.executable, "-I", str(REPLAY_SCRIPT), str(model_dir.absolute()), str(result_file.absolute())]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=result_file.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            yield FreshProcess(process, errors, timeout_seconds)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # what was not read by the end
                        continue
