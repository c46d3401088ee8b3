"""A worker process that is killed ends the step with a sentence."""

import os
import signal

import apache_beam as beam
import psutil
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.beam.arguments import pipeline_args
from pipeline.beam.options import ProcessesBeam
from pipeline.beam.workers import WorkerDiedError, watched_workers

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


ONE_IS_SLOW = """
import os, time
if "CONTROL_API_SERVICE_DESCRIPTOR" in os.environ:
    try:
        os.close(os.open({lock!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        time.sleep(40)
"""
"""Imported by each worker before all else."""


class Killed(beam.DoFn):
    """Kills the worker that comes up first: each is given a bundle, one of them an empty one."""

    def start_bundle(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def process(self, element):
        yield element


@pytest.fixture
def no_longer_than_half_a_minute():
    def end(signum, frame):
        late.append(signum)
        raise TimeoutError  # Beam goes on from here with what comes after its waiting

    late = []
    handler = signal.signal(signal.SIGALRM, end)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    assert not late, "a worker was waited for"


@pytest.mark.parametrize("one_is_slow", [False, True])
def test_a_killed_worker_is_told_and_no_other_is_waited_for(
    one_is_slow, monkeypatch, tmp_path, no_longer_than_half_a_minute
):
    if one_is_slow:  # it comes up when all is over, and nobody tells it to end
        (tmp_path / "sitecustomize.py").write_text(ONE_IS_SLOW.format(lock=str(tmp_path / "lock")), encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    arguments = [each for each in pipeline_args(ProcessesBeam(workers=2)) if "plugin" not in each]  # nor TensorFlow
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in what a shell starts behind itself
    try:
        with (
            pytest.raises(WorkerDiedError, match=r"was killed or broke \(.* return code 137\).* `beam\.workers`"),
            watched_workers(),
            beam.Pipeline(options=PipelineOptions(arguments)) as pipeline,
        ):
            _ = pipeline | beam.Create([1]) | beam.ParDo(Killed())
    finally:
        signal.signal(signal.SIGINT, handler)
        for child in psutil.Process().children(recursive=True):
            if child.pid not in before:
                child.kill()


def test_who_interrupts_is_not_taken_for_a_worker():
    with pytest.raises(KeyboardInterrupt), watched_workers():
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
