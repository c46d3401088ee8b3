"""The units say what they should: one look, one at a time, signals to the run alone, and little that it may do."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.cli import main

ROOT = Path(__file__).parents[3] / "deploy" / "systemd"


def unit(name):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read_string((ROOT / name).read_text(encoding="utf-8"))
    return parser


def test_the_service_looks_once():
    service = unit("attention.service")["Service"]
    assert service["Type"] == "oneshot"  # a timer does not start a unit that is still at work
    program, command, *rest = shlex.split(service["ExecStart"])
    assert program.endswith("/bin/attention")
    told = main.commands[command].make_context(command, rest).params
    assert told["once"]
    assert str(told["workspace"]).startswith(f"/var/lib/{service['StateDirectory']}/")


def test_a_stop_lets_the_step_under_way_end():
    service = unit("attention.service")["Service"]
    assert service["KillMode"] == "mixed"
    assert service["TimeoutStartSec"] == "infinity"
    assert service["TimeoutStopSec"] == "10min"
    assert "SuccessExitStatus" not in service  # what a gate blocked is to be seen as failed


def test_the_service_may_do_little():
    service = unit("attention.service")["Service"]
    assert service["User"] not in ("", "root")
    assert service["CapabilityBoundingSet"] == ""
    assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "yes")


def test_the_timer_starts_the_service_of_its_name_and_makes_up_for_what_was_missed():
    timer = unit("attention.timer")
    assert (ROOT / "attention.timer").stem == (ROOT / "attention.service").stem
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Timer"]["OnCalendar"] == "*:0/15"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_reads_the_calendar():
    calendar = unit("attention.timer")["Timer"]["OnCalendar"]
    subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)
