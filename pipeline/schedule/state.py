"""What was tried and when: one small file in the workspace that outlives every kill."""

import contextlib
import datetime
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from pipeline.schedule.data import FileMark, Files
from pipeline.schedule.served import Served

STATE_FILE = "schedule.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pending(_Frozen):
    """A run that is at work, or waits for another try."""

    triggers: tuple[str, ...]
    why: str
    attempt: int = 1
    started: AwareDatetime
    """The newest try."""
    at_work: bool = False
    """Whether that try has not ended. To the holder of the workspace's lock this says that it was killed."""
    kills: int = 0
    """How often tries in a row were killed."""
    not_before: AwareDatetime
    """When the next try is due."""
    until: datetime.date | None = None
    """Spans of `{DATE}` up to here only, for a missed time that is made up for."""


class Last(_Frozen):
    """How the newest run ended."""

    triggers: tuple[str, ...]
    verdict: str
    why: str
    version: int | None
    run: str | None
    started: AwareDatetime
    ended: AwareDatetime


class Judged(_Frozen):
    """What came of a file of fresh labels."""

    size: int
    modified: float
    version: int
    """The live version that was tried."""
    outcome: Literal["at_work", "passed", "failed", "broken"] = "at_work"
    why: str = ""
    tries: int = 1
    answered: bool = False
    """Whether the failure has made a run due."""

    def is_of(self, mark: FileMark) -> bool:
        return (self.size, self.modified) == (mark.size, mark.modified)


class State(_Frozen):
    """Everything that the scheduler knows between two looks."""

    format: Literal[1] = 1
    cron_done: AwareDatetime | None = None
    """Points of `cron` up to here are answered."""
    tried: Files = {}
    """The input of the newest try, whatever came of it."""
    counted: Files = {}
    """Rows counted at the newest look: files that stay the same are not counted again."""
    served: Served | None = None
    """Answers of the live version, where the servers' metrics are looked at."""
    judged: dict[str, Judged] = {}
    """Path → what came of a file of fresh labels."""
    pending: Pending | None = None
    last: Last | None = None

    def but(self, **changes: Any) -> "State":
        return self.model_copy(update=changes)


class UnreadableStateError(RuntimeError):
    """The file is there, and is not what `save` wrote."""


def load(root: Path) -> State | None:
    """Reads the state of a workspace; None where there is none yet.

    Raises:
        UnreadableStateError: what is there cannot be read.
    """
    path = root / STATE_FILE
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise UnreadableStateError(f"{path} cannot be read.") from None


def set_aside(root: Path, now: datetime.datetime) -> State:
    """Keeps an unreadable file under another name.

    Returns:
        A state in which one run is due, for nobody knows what was missed; its `pending.why` says so.
    """
    path = root / STATE_FILE
    aside = path.with_name(f"{STATE_FILE}.unreadable-{now:%Y%m%dT%H%M%S}")
    path.replace(aside)
    why = f"{path} could not be read and is now {aside.name}; what was missed is not known, so one run is due."
    due = Pending(triggers=("recovery",), why=why, attempt=0, started=now, not_before=now)
    return State(cron_done=now, pending=due)


def save(root: Path, state: State) -> None:
    """Writes the state; whenever this is cut off, the file is the old one or the new one.

    Raises:
        OSError: the disk is full, say; the old one stays.
    """
    path = root / STATE_FILE
    partial = path.with_name(f".{STATE_FILE}.part")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(state.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    folder = os.open(root, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
