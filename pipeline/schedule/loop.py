"""Waits for triggers and starts each run in a process of its own: what `attention schedule` does without `--once`."""

import contextlib
import datetime
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from components.example_gen.errors import InputDataError
from pipeline.config import ConfigError, PipelineConfig
from pipeline.schedule.decision import decide
from pipeline.schedule.once import utc_now
from pipeline.schedule.served import Served
from pipeline.schedule.state import STATE_FILE, UnreadableStateError, load, save
from pipeline.workspace import Workspace, WorkspaceBusyError, locked

TICK_SECONDS = 0.5
LEAST_PAUSE_SECONDS = 5.0
"""Between two starts, whatever goes wrong."""


class Stop:
    """Asked to end by a signal: once, after the step under way; twice, at once."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bool:
        return self.count > 0

    @contextlib.contextmanager
    def on_signals(self, twice_raises: bool = False) -> Iterator["Stop"]:
        """Counts SIGTERM and SIGINT.

        Args:
            twice_raises: the second raises KeyboardInterrupt where the program stands.
        """

        def count(number: int, frame: Any) -> None:
            self.count += 1
            if twice_raises and self.count > 1:
                raise KeyboardInterrupt

        before = {number: signal.signal(number, count) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Child:
    """Runs `attention schedule --once` in a session of its own: what it leaks or breaks goes with it."""

    def __init__(self, command: Sequence[str], echo: bool):
        self._command, self._echo = command, echo

    def __call__(self, stop: Stop) -> str:
        """Waits for its end and passes signals on.

        Returns:
            The verdict; `crashed` if there is none.
        """
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            passed_on = 0
            while True:
                try:
                    out, _ = process.communicate(timeout=TICK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if passed_on < stop.count:
                        passed_on += 1
                        process.send_signal(signal.SIGTERM)
        if self._echo:
            print(out, end="", flush=True)
        try:
            return str(json.loads(out.splitlines()[-1])["verdict"])
        except (IndexError, ValueError, KeyError):
            return "crashed"


class Loop:
    """Looks, starts what is due, and waits for the next look."""

    def __init__(
        self,
        config: PipelineConfig,
        workspace: Workspace,
        start: Callable[[Stop], str],
        clock: Callable[[], datetime.datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._config, self._workspace, self._start = config, workspace, start
        self._clock, self._sleep = clock, sleep
        self._state_counts: dict[str, Any] = {}
        self._told: dict[str, str] = {}

    def run(self, stop: Stop) -> None:
        """Goes on until it is stopped."""
        while not stop():
            next_look = self._look()
            if next_look is None:
                verdict = self._start(stop)
                hopeless = verdict in ("busy", "crashed") or not (self._workspace.root / STATE_FILE).exists()
                pause = self._config.schedule.poll_seconds if hopeless else LEAST_PAUSE_SECONDS
                next_look = self._clock() + datetime.timedelta(seconds=pause)
            self._wait(next_look, stop)
        self._say("stopped; what is pending is written down.")

    def _look(self) -> datetime.datetime | None:
        """When to look again; None: something is due, or only the holder of the lock can tell."""
        now = self._clock()
        try:
            state = load(self._workspace.root)
        except UnreadableStateError:
            return None
        if state is None:
            return None
        try:
            counted = {**state.counted, **self._state_counts}
            decision = decide(self._config, self._workspace, state.but(counted=counted), now)
            if decision.due is None and decision.state.served != state.served:
                self._keep(state.served, decision.state.served)
        except (ConfigError, InputDataError, OSError) as error:
            self._say(str(error))
            return now + datetime.timedelta(seconds=self._config.schedule.poll_seconds)
        self._state_counts = decision.state.counted
        if decision.due is not None or decision.unjudged:
            return None
        if decision.notes:
            self._say("\n".join(decision.notes), "notes")
        self._say(decision.why)
        return decision.next_look

    def _keep(self, before: Served | None, served: Served | None) -> None:
        """Writes down the counters of answers, unless another look has done so in between."""
        with contextlib.suppress(WorkspaceBusyError, UnreadableStateError), locked(self._workspace):
            state = load(self._workspace.root)
            if state is not None and state.served == before:
                save(self._workspace.root, state.but(served=served))

    def _wait(self, until: datetime.datetime, stop: Stop) -> None:
        """By the clock on the wall, so that a machine that slept or whose clock was set is not late."""
        while not stop() and (left := (until - self._clock()).total_seconds()) > 0:
            self._sleep(min(left, TICK_SECONDS))

    def _say(self, text: str, about: str = "") -> None:
        """Prints what was not told about the same before."""
        told = text if about else text.partition(";")[0]
        if told != self._told.get(about):
            for line in text.splitlines():
                print(f"schedule: {line}", file=sys.stderr, flush=True)
        self._told[about] = told
