"""One version of one model, from the moment it is wanted until its memory is free."""

import asyncio
import enum
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from deploy.serving.session import Runner
from deploy.serving.status import ServingError
from deploy.serving.versions import Fingerprint


class State(enum.IntEnum):
    """As in `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Model(Runner, Protocol):
    """A loaded model: what `session.LoadedModel` is."""

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
        ...

    def close(self) -> None:
        """Frees the memory."""
        ...


@dataclass(eq=False)
class Servable:
    """State lives on the event loop; only the count of running requests is shared with worker threads."""

    model_name: str
    version: int
    path: str
    state: State = State.START
    error: ServingError | None = None
    model: Model | None = None
    wanted: bool = True
    fingerprint: Fingerprint = ()
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _last_look: Fingerprint | None = None
    _running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        return f"{{name: {self.model_name} version: {self.version}}}"

    @property
    def running(self) -> int:
        """Requests that were taken and are not answered yet."""
        return self._running

    def hold(self) -> None:
        """Keeps the model in memory until `release`."""
        with self._lock:
            self._running += 1

    def release(self) -> None:
        """Ends what `hold` began; any thread may call it."""
        with self._lock:
            self._running -= 1

    def look(self, now: Fingerprint) -> None:
        """Notes what the directory looks like; once it differs from the last try and has come to rest, try again."""
        if now == self._last_look and now != self.fingerprint:
            self.fingerprint = now
            self.changed.set()
        self._last_look = now

    def move_to(self, state: State, error: ServingError | None = None) -> None:
        """Enters a state, with the reason if it is a bad one."""
        self.state, self.error = state, error
