"""No other run, kill, signal, full disk or broken state loses anything or has anything done twice at a time."""

import contextlib
import errno
import itertools
import os
import subprocess
import sys

import pytest

from pipeline.schedule import state as state_file
from pipeline.schedule.state import STATE_FILE
from pipeline.workspace import locked

DAILY = "schedule.cron=30 2 * * *"


class KillError(BaseException):
    """Stands for kill -9: nothing that handles errors sees it."""


def test_another_run_at_work_is_waited_for(scheduled):
    scheduled.set("schedule.new_data=true", "schedule.settle_seconds=0")
    scheduled.write()
    program = (
        "import sys, pathlib; from pipeline.workspace import *\n"
        f"with locked(Workspace(pathlib.Path({str(scheduled.workspace.root)!r}))): print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert scheduled.verdict() == "busy"
        other.kill()  # the kernel lets go of the lock
    assert scheduled.verdict() == "pushed"
    assert len(scheduled.seen) == 1


def test_the_run_itself_may_take_the_workspace_that_the_look_holds(scheduled):
    with locked(scheduled.workspace), locked(scheduled.workspace):
        pass
    with locked(scheduled.workspace):
        pass


def test_what_was_killed_goes_on_at_once_then_ever_later_and_is_never_given_up(scheduled):
    scheduled.set("schedule.new_data=true", "schedule.settle_seconds=0", "schedule.retry={pause_seconds: 100}")
    scheduled.write()
    scheduled.verdicts = [KillError() for _ in range(8)]
    with pytest.raises(KillError):
        scheduled.once()
    assert scheduled.state.pending.at_work
    with pytest.raises(KillError):
        scheduled.once()
    for pause in (100, 200, 400, 800, 1600, 3200):
        scheduled.forward(seconds=pause - 1)
        assert scheduled.verdict() == "not_due"
        scheduled.forward(seconds=1)
        with pytest.raises(KillError):
            scheduled.once()
    scheduled.forward(hours=1)
    done = scheduled.once()
    assert (done["verdict"], done["attempt"]) == ("pushed", 1)


def test_what_a_signal_stopped_goes_on_at_the_next_look_as_the_same_try(scheduled):
    scheduled.set(DAILY)
    scheduled.write()
    scheduled.once()
    scheduled.forward(hours=3)
    scheduled.verdicts = [KeyboardInterrupt()]
    assert scheduled.verdict() == "interrupted"
    done = scheduled.once()
    assert (done["verdict"], done["attempt"]) == ("pushed", 1)


@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "os.open"])
@pytest.mark.parametrize("cut_off", range(4))
def test_a_kill_in_any_write_of_the_state_loses_nothing(scheduled, monkeypatch, place, cut_off):
    scheduled.set(DAILY, "schedule.new_data=true", "schedule.settle_seconds=0")
    scheduled.write()
    real, calls = getattr(os, place.removeprefix("os.")), itertools.count()

    def kill(*arguments, **options):
        if next(calls) == cut_off:
            raise KillError
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(state_file.os, place.removeprefix("os."), kill)
        for _ in range(4):
            scheduled.forward(hours=6)
            with contextlib.suppress(KillError):
                scheduled.once()
    for _ in range(2):
        scheduled.forward(hours=6)
        scheduled.once()
    assert len(scheduled.seen) >= 2  # for the new data and for the time of day
    assert scheduled.state.pending is None
    assert scheduled.state.last.verdict == "pushed"
    assert scheduled.verdict() == "not_due"


def test_a_full_disk_is_one_sentence_and_the_next_look_mends(scheduled, monkeypatch, capsys):
    scheduled.set("schedule.new_data=true", "schedule.settle_seconds=0")
    scheduled.write()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(state_file.os, "fsync", full)
        done = scheduled.once()
    assert done["verdict"] == "failed"
    assert "cannot be written: [Errno 28] No space left on device" in done["why"]
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert scheduled.seen == []
    assert [path.name for path in scheduled.workspace.root.iterdir()] == [".lock"]
    assert scheduled.verdict() == "pushed"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b'{"format": 2}', b'{"last": 3}', b"[]"])
def test_an_unreadable_state_is_set_aside_and_one_run_is_due(scheduled, capsys, content):
    scheduled.set(DAILY)
    scheduled.write()
    scheduled.once()
    (scheduled.workspace.root / STATE_FILE).write_bytes(content)
    capsys.readouterr()
    done = scheduled.once()
    assert (done["verdict"], done["triggers"], done["attempt"]) == ("pushed", ["recovery"], 1)
    first, *_ = capsys.readouterr().err.splitlines()
    assert "schedule.json could not be read and is now schedule.json.unreadable-20260101T000000" in first
    (aside,) = scheduled.workspace.root.glob(f"{STATE_FILE}.unreadable-*")
    assert aside.read_bytes() == content
    assert scheduled.verdict() == "not_due"
