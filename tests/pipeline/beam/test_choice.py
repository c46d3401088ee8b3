"""What `beam.runner: auto` takes, and what it says of it."""

import logging

import pytest

from pipeline.beam import choice
from pipeline.beam.options import AutoBeam, DirectBeam, ProcessesBeam


@pytest.fixture
def table(tmp_path):
    """A sparse file that is large enough."""
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(choice.PAYS_FROM_BYTES)
    return str(path)


def test_large_inputs_take_processes_and_small_ones_memory(table, tmp_path, caplog):
    small = tmp_path / "small.csv"
    small.write_text("a,b\n" * 1000)
    with caplog.at_level(logging.INFO, choice.PROGRESS_LOGGER):
        assert choice.settle(AutoBeam(workers=2), [table]) == ProcessesBeam(workers=2)
        assert choice.settle(AutoBeam(workers=2), [str(small)] * 3) == DirectBeam()
        assert choice.settle(AutoBeam(workers=1), [table]) == DirectBeam()
    limit = f"processes are taken from {choice.PAYS_FROM_BYTES / 2**20:,.0f} MiB on"
    large, little, alone = caplog.messages
    assert large.startswith("Beam runs in 2 processes: the input has ")
    assert little.startswith(f"Beam runs in memory: the input has 0.0 MiB; {limit} (")
    assert f"{limit}, but there is one worker only" in alone


def test_what_was_chosen_stays(table, caplog):
    assert choice.settle(DirectBeam(), [table]) == DirectBeam()
    assert caplog.messages == []
