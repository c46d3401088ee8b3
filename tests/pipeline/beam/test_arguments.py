"""Beam's arguments, read back by Beam's own option classes."""

import json

import pytest
from apache_beam.options import pipeline_options as beam_options
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from pydantic import TypeAdapter

from pipeline.beam.arguments import pipeline_args
from pipeline.beam.options import AnyBeam

POOL, IMAGE = "10.0.0.4:50000", "registry.example/attention-pipeline:0.1.0"
FLINK = {"runner": "flink", "master": "flink:8081", "worker_pool": POOL}
SPARK = {"runner": "spark", "master": "spark://spark:7077", "worker_command": "/opt/apache/beam/boot"}
DATAFLOW = {
    "runner": "dataflow",
    "project": "shop",
    "region": "europe-west3",
    "temp_location": "gs://shop/tmp",
    "worker_image": IMAGE,
}
EXPECTED = [
    (
        {"runner": "direct"},
        {"runner": "DirectRunner", "direct_running_mode": "in_memory", "direct_num_workers": 1},
    ),
    (
        {"runner": "processes", "workers": 3},
        {"runner": "DirectRunner", "direct_running_mode": "multi_processing", "direct_num_workers": 3},
    ),
    (
        {"runner": "portable", "job_endpoint": "localhost:8099", "worker_pool": POOL},
        {
            "runner": "PortableRunner",
            "job_endpoint": "localhost:8099",
            "environment_type": "EXTERNAL",
            "environment_config": POOL,
        },
    ),
    (
        FLINK | {"version": "1.20", "parallelism": 4, "job_server_jar": "/opt/job-server.jar"},
        {
            "runner": "FlinkRunner",
            "flink_master": "flink:8081",
            "flink_version": "1.20",
            "flink_job_server_jar": "/opt/job-server.jar",
            "parallelism": 4,
            "environment_type": "EXTERNAL",
        },
    ),
    (
        {**FLINK, "worker_pool": None, "worker_image": IMAGE},
        {"flink_version": "2.2", "environment_type": "DOCKER", "environment_config": IMAGE},
    ),
    (
        SPARK,
        {
            "runner": "SparkRunner",
            "spark_master_url": "spark://spark:7077",
            "environment_type": "PROCESS",
            "environment_config": json.dumps({"command": "/opt/apache/beam/boot"}),
        },
    ),
    (
        DATAFLOW | {"service_account": "beam@shop.iam.gserviceaccount.com", "machine_type": "n2d", "max_workers": 9},
        {
            "runner": "DataflowRunner",
            "project": "shop",
            "region": "europe-west3",
            "temp_location": "gs://shop/tmp",
            "sdk_container_image": IMAGE,
            "service_account_email": "beam@shop.iam.gserviceaccount.com",
            "machine_type": "n2d",
            "max_num_workers": 9,
        },
    ),
]


@pytest.mark.parametrize(("group", "expected"), EXPECTED, ids=[group["runner"] for group, _ in EXPECTED])
def test_beam_reads_every_argument_as_it_was_meant(group, expected):
    arguments = pipeline_args(TypeAdapter(AnyBeam).validate_python(group))
    parser = beam_options._BeamArgumentParser(allow_abbrev=False)
    for options in beam_options.PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(arguments)
    assert unknown == []
    assert {name: getattr(known, name) for name in expected} == expected
    assert known.sdk_container_image  # else TFX would build a package of itself for every node
    assert known.beam_plugins == (None if group["runner"] == "direct" else ["tensorflow_text"])
    options = beam_options.PipelineOptions(arguments)
    view = options.view_as(beam_options.PortableOptions)
    assert PipelineOptionsValidator(options, None).validate_environment_options(view) == []
