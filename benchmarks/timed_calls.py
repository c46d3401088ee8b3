"""Calls without a server, timed alike in our environment and in the peer's: the standard library alone."""

import threading
import time
from typing import Any

WARM_UP_SECONDS = 1.5


def timed(run: Any, threads: int, seconds: float) -> dict[str, Any]:
    """Runs a call again and again in threads: seconds of each, and the processor time of all."""
    took: list[float] = []
    began = time.perf_counter() + WARM_UP_SECONDS
    until = began + seconds

    def loop(number: int) -> None:
        turn = number
        while (now := time.perf_counter()) < until:
            run(turn)
            turn += threads
            if now >= began:
                took.append(time.perf_counter() - now)

    workers = [threading.Thread(target=loop, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    time.sleep(WARM_UP_SECONDS)
    cpu = time.process_time()
    for worker in workers:
        worker.join()
    return {"took": took, "cpu": time.process_time() - cpu, "seconds": time.perf_counter() - began}
