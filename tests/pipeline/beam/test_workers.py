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


def test_a_killed_worker_is_told_and_not_waited_for():
    arguments = [each for each in pipeline_args(ProcessesBeam(workers=2)) if "plugin" not in each]  # nor TensorFlow
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in what a shell starts behind itself
    try:
        with (
            pytest.raises(WorkerDiedError, match=r"was killed or broke \(.* return code 137\).* `beam\.workers`"),
            watched_workers(),
            beam.Pipeline(options=PipelineOptions(arguments)) as pipeline,
        ):
            _ = pipeline | beam.Create([1]) | beam.Map(lambda _: os.kill(os.getpid(), signal.SIGKILL))
    finally:
        signal.signal(signal.SIGINT, handler)
        for child in psutil.Process().children(recursive=True):
            if child.pid not in before:
                child.kill()


def test_who_interrupts_is_not_taken_for_a_worker():
    with pytest.raises(KeyboardInterrupt), watched_workers():
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
