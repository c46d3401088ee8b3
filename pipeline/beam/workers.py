"""What Beam does not tell: that one of its worker processes died."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import psutil

WORKER_THREAD = "run_worker"
"""Beam's name of the thread that waits for a worker process, and ends in an exception if that was killed."""


WORKER_MODULE = "sdk_worker_main"
"""In the command line of each of Beam's worker processes, and of the shell that starts it."""

_KILL_SECONDS = 0.2


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
    watching, over = threading.Lock(), threading.Event()
    deaths: list[BaseException | None] = []

    def told(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != WORKER_THREAD:
            before(failed)
            return
        with watching:
            if threading.excepthook is told and not deaths:
                deaths.append(failed.exc_value)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)  # SIGINT may be ignored

    def died(signum: int, frame: object) -> None:
        threading.Thread(target=_end_workers, args=[over], daemon=True).start()
        raise WorkerDiedError(
            f"One of Beam's worker processes was killed or broke ({deaths[0]}); most often memory runs short: give "
            "fewer `beam.workers`, or `beam.runner: direct`. Run it again and it goes on from this step."
        )

    before, handler = threading.excepthook, signal.signal(signal.SIGUSR1, died)
    threading.excepthook = told
    try:
        yield
    finally:
        over.set()
        with watching:
            threading.excepthook = before
        signal.signal(signal.SIGUSR1, handler)


def _end_workers(over: threading.Event) -> None:
    """Kills the other workers: Beam waits for each of them, also for one that comes up too late to be told to end."""
    while not over.wait(_KILL_SECONDS):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(WORKER_MODULE in part for part in process.cmdline()):
                    process.kill()
