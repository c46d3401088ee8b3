"""Where everything of one pipeline lies, and who may write there."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class WorkspaceBusyError(RuntimeError):
    """Another run holds the workspace."""


_held: set[Path] = set()
"""Workspaces that this process holds."""


@dataclass(frozen=True)
class Workspace:
    """The folders of one pipeline."""

    root: Path

    @property
    def metadata(self) -> Path:
        return self.root / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def searches(self) -> Path:
        return self.root / "searches"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def serving(self, name: str) -> Path:
        """The model base path of TF Serving."""
        return self.root / "serving" / name


@contextlib.contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Holds the workspace for one run. The kernel lets go when the process ends, however it ends.

    Who holds it may take it again: the scheduler holds it from its look at the input until what came of the run is
    written down.

    Raises:
        WorkspaceBusyError: another process holds it.
    """
    if workspace.root in _held:
        yield
        return
    workspace.root.mkdir(parents=True, exist_ok=True)
    path = workspace.root / ".lock"
    with open(path, "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise WorkspaceBusyError(
                f"Another run (process {holder}) is at work in {workspace.root}. "
                "Wait for its end, or choose another --workspace."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        _held.add(workspace.root)
        try:
            yield
        finally:
            _held.discard(workspace.root)
