"""What Beam does not tell: that one of its worker processes died."""

import contextlib
import signal
import threading
from collections.abc import Iterator

WORKER_THREAD = "run_worker"
"""Beam's name of the thread that waits for a worker process, and ends in an exception if that was killed."""


class WorkerDiedError(RuntimeError):
    """A worker process ended before its work did."""


@contextlib.contextmanager
def watched_workers() -> Iterator[None]:
    """Ends what the main thread does inside when a worker process dies; Beam would wait for its answer for ever.

    No other thread can be woken, so in others it does nothing.

    Raises:
        WorkerDiedError: one died.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watching = threading.Lock()
    deaths: list[BaseException | None] = []

    def told(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != WORKER_THREAD:
            before(failed)
            return
        with watching:
            if threading.excepthook is told:
                deaths.append(failed.exc_value)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)  # SIGINT may be ignored

    def died(signum: int, frame: object) -> None:
        raise WorkerDiedError(
            f"One of Beam's worker processes was killed or broke ({deaths[0]}); most often memory runs short: give "
            "fewer `beam.workers`, or `beam.runner: direct`. Run it again and it goes on from this step."
        )

    before, handler = threading.excepthook, signal.signal(signal.SIGUSR1, died)
    threading.excepthook = told
    try:
        yield
    finally:
        with watching:
            threading.excepthook = before
        signal.signal(signal.SIGUSR1, handler)
