"""Beam's arguments."""

from pipeline.beam import pipeline_args
from pipeline.config_groups import BeamConfig


def test_the_mode_is_always_said():
    assert "--direct_running_mode=in_memory" in pipeline_args(BeamConfig())


def test_worker_processes_know_the_ops_of_the_graphs():
    arguments = pipeline_args(BeamConfig(runner="processes", workers=3))
    assert {"--direct_running_mode=multi_processing", "--direct_num_workers=3"} <= set(arguments)
    assert "--beam_plugin=tensorflow_text" in arguments
