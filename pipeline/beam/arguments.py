"""The config's `beam` group → Beam's pipeline arguments."""

import json
from collections.abc import Iterator

from pipeline.beam.options import (
    AnyBeam,
    AutoBeam,
    DataflowBeam,
    DirectBeam,
    FlinkBeam,
    PortableBeam,
    ProcessesBeam,
    SparkBeam,
)

# Its ops are in the graphs that the workers load.
_WORKERS = ("--beam_plugin=tensorflow_text",)
# Without a worker image TFX builds a package of itself for every node; such workers have the project already.
_NO_IMAGE = "--sdk_container_image=unused"


def pipeline_args(beam: AnyBeam) -> list[str]:
    """Beam's arguments. Runner and mode are always said: left open, Beam looks for a runner on the network.

    Raises:
        ValueError: `auto` was not settled by the size of the input.
    """
    match beam:
        case DirectBeam():
            return [_NO_IMAGE, "--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
        case ProcessesBeam():
            mode = ("--direct_running_mode=multi_processing", f"--direct_num_workers={beam.workers}")
            return [_NO_IMAGE, "--runner=DirectRunner", *mode, *_WORKERS]
        case PortableBeam():
            return ["--runner=PortableRunner", f"--job_endpoint={beam.job_endpoint}", *_environment(beam), *_WORKERS]
        case FlinkBeam():
            jar = [f"--flink_job_server_jar={beam.job_server_jar}"] if beam.job_server_jar else []
            place = (f"--flink_master={beam.master}", f"--flink_version={beam.version}", *jar)
            return ["--runner=FlinkRunner", *place, f"--parallelism={beam.parallelism}", *_environment(beam), *_WORKERS]
        case SparkBeam():
            jar = [f"--spark_job_server_jar={beam.job_server_jar}"] if beam.job_server_jar else []
            return [
                "--runner=SparkRunner", f"--spark_master_url={beam.master}", *jar, *_environment(beam), *_WORKERS,
            ]  # fmt: skip
        case DataflowBeam():
            return ["--runner=DataflowRunner", *_dataflow(beam), *_WORKERS]
        case AutoBeam():
            raise ValueError("`beam.runner: auto` must be settled by the size of the input first.")


def _environment(beam: PortableBeam | FlinkBeam | SparkBeam) -> Iterator[str]:
    """Where the workers' Python is."""
    if beam.worker_image:
        yield "--environment_type=DOCKER"
        yield f"--environment_config={beam.worker_image}"
        yield f"--sdk_container_image={beam.worker_image}"
        return
    kind, place = ("EXTERNAL", beam.worker_pool)
    if beam.worker_command:
        kind, place = ("PROCESS", json.dumps({"command": beam.worker_command}))
    yield f"--environment_type={kind}"
    yield f"--environment_config={place}"
    yield _NO_IMAGE


def _dataflow(beam: DataflowBeam) -> Iterator[str]:
    yield f"--project={beam.project}"
    yield f"--region={beam.region}"
    yield f"--temp_location={beam.temp_location}"
    yield f"--sdk_container_image={beam.worker_image}"
    if beam.service_account:
        yield f"--service_account_email={beam.service_account}"
    if beam.machine_type:
        yield f"--worker_machine_type={beam.machine_type}"
    if beam.max_workers:
        yield f"--max_num_workers={beam.max_workers}"
