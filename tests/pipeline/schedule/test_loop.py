"""The loop wakes when something is due, starts one run at a time, and ends when it is told to."""

import datetime
import json
import signal
import subprocess
import sys
import time

import pytest
import yaml

from pipeline.schedule.loop import Child, Loop, Stop
from pipeline.schedule.state import STATE_FILE

pytestmark = pytest.mark.slow


@pytest.fixture
def loop(scheduled):
    """Runs the loop with the test's clock until it stands at a time; (time, verdict) of every start."""

    def run(until):
        stop, starts = Stop(), []

        def sleep(seconds):
            scheduled.forward(seconds=max(seconds, 0.5) * 20)
            stop.count += scheduled.now >= until

        def start(stop):
            verdict = scheduled.verdict()
            starts.append((f"{scheduled.now:%d %H:%M}", verdict))
            return verdict

        Loop(scheduled.config, scheduled.workspace, start, lambda: scheduled.now, sleep).run(stop)
        return starts

    return run


def at(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def test_the_loop_starts_a_run_at_its_time(scheduled, loop):
    scheduled.set("schedule.cron=30 2 * * *")
    scheduled.write()
    assert loop(at("2026-01-03T12:00")) == [
        ("01 00:00", "not_due"), ("01 02:30", "pushed"), ("02 02:30", "pushed"), ("03 02:30", "pushed")
    ]  # fmt: skip


def test_the_loop_polls_the_input_and_tries_again(scheduled, loop):
    scheduled.set("schedule={new_data: true, settle_seconds: 0, poll_seconds: 600, retry: {pause_seconds: 60}}")
    assert loop(at("2026-01-01T01:00")) == [(f"01 00:{minute}0", "failed") for minute in range(6)]
    scheduled.write()
    scheduled.verdicts = ["failed", "failed"]
    starts = loop(at("2026-01-01T02:00"))
    assert [verdict for _, verdict in starts] == ["failed", "failed", "pushed"]
    assert [time for time, _ in starts] == ["01 01:00", "01 01:01", "01 01:03"]


def test_a_start_that_crashes_is_not_repeated_without_pause(scheduled, capsys):
    scheduled.set("schedule={new_data: true, poll_seconds: 600}")
    starts, stop = [], Stop()

    def start(stop):
        starts.append(scheduled.now)
        stop.count += len(starts) > 2
        return "crashed"

    Loop(
        scheduled.config, scheduled.workspace, start, lambda: scheduled.now, lambda s: scheduled.forward(seconds=s)
    ).run(stop)
    assert [(each - starts[0]).total_seconds() for each in starts] == [0, 600, 1200]


def test_a_child_gives_its_verdict_and_gets_the_signals(capfd):
    told = "import json; print(json.dumps({'verdict': 'pushed'}))"
    assert Child([sys.executable, "-c", told], echo=True)(Stop()) == "pushed"
    assert json.loads(capfd.readouterr().out) == {"verdict": "pushed"}
    assert Child([sys.executable, "-c", "import os; os.abort()"], echo=False)(Stop()) == "crashed"
    waits = (
        'import signal, time\ndef end(*_):\n    print(\'{"verdict": "interrupted"}\'); raise SystemExit(1)\n'
        "signal.signal(signal.SIGTERM, end); time.sleep(60)"
    )

    class LateStop(Stop):
        @property
        def count(self):
            return int(time.monotonic() > begun + 2)

        @count.setter
        def count(self, value):
            pass

    begun = time.monotonic()
    assert Child([sys.executable, "-c", waits], echo=False)(LateStop()) == "interrupted"
    assert time.monotonic() - begun < 30


def test_signals_are_counted_and_the_second_may_raise():
    before = signal.getsignal(signal.SIGTERM)
    with Stop().on_signals(twice_raises=True) as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert stop.count == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_at_once_while_it_waits(scheduled, number):
    scheduled.set("schedule.cron=0 0 29 2 *")
    config = scheduled.folder / "config.yaml"
    config.write_text(yaml.safe_dump(scheduled.raw))
    command = [sys.executable, "-m", "pipeline.cli", "schedule", str(config), "-w", str(scheduled.workspace.root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        told = [process.stderr.readline()]
        while "the next look is at" not in told[-1] or len(told) < 2:
            told.append(process.stderr.readline())
        assert (scheduled.workspace.root / STATE_FILE).exists()
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(10) == 0
    assert "Traceback" not in rest
    assert "stopped" in rest
