"""What a step's container runs: TFX's own entrypoint, in the world that Kubeflow's launcher makes.

The launcher copies input artifacts from the object store below /gcs, /s3 or /minio before a step and output artifacts
back after it, so a step works on local files alone. It leaves out what TFX asks for: the names of artifacts, and types
other than its own (tensorflow/tfx#7768).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "0"

from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentInputsSpec, ExecutorInput, ExecutorOutput

MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
"""Where the launcher keeps the copy of what has such an address."""


def local_path(uri: str) -> str:
    """Where the launcher's copy of an artifact lies; a path stays as it is."""
    for scheme, mount in MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri.removeprefix(scheme)
    return uri


def make_local(executor_input: ExecutorInput, inputs_spec: ComponentInputsSpec) -> dict[str, str]:
    """Puts local paths, and the names and types that TFX wants, into what Kubeflow says of the artifacts.

    Args:
        executor_input: changed in place.
        inputs_spec: of the step's component; holds the types of its inputs.

    Returns:
        Local path → address of each output.
    """
    for key, found in executor_input.inputs.artifacts.items():
        for artifact in found.artifacts:
            artifact.type.CopyFrom(inputs_spec.artifacts[key].artifact_type)
            artifact.name = artifact.name or artifact.uri
            artifact.uri = local_path(artifact.uri)
    outputs = {}
    for wanted in executor_input.outputs.artifacts.values():
        for artifact in wanted.artifacts:
            path = local_path(artifact.uri)
            outputs[path] = artifact.uri
            artifact.uri = path
    return outputs


def restore_addresses(output_file: Path, outputs: dict[str, str]) -> None:
    """Gives the output artifacts their addresses back, so that the launcher stores them there."""
    executor_output = json_format.Parse(output_file.read_text(encoding="utf-8"), ExecutorOutput())
    for written in executor_output.artifacts.values():
        for artifact in written.artifacts:
            artifact.uri = outputs[artifact.uri]
    output_file.write_text(json_format.MessageToJson(executor_output), encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Runs one executor.

    Args:
        arguments: those that TFX compiles into a container, Beam's among them.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline.kubeflow.entrypoint", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    known, beam_arguments = parser.parse_known_args(arguments)
    executor_input = json_format.Parse(
        known.json_serialized_invocation_args, ExecutorInput(), ignore_unknown_fields=True
    )
    inputs_spec = json_format.Parse(known.json_serialized_inputs_spec_args, ComponentInputsSpec())
    outputs = make_local(executor_input, inputs_spec)
    for path in outputs:
        os.makedirs(path, exist_ok=True)
    known.json_serialized_invocation_args = json_format.MessageToJson(executor_input)

    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    from components.artifacts import DataBlessing

    # TFX takes the title of a type that it does not know for the place of its class.
    compiler_utils.TITLE_TO_CLASS_PATH[DataBlessing.TYPE_NAME] = f"{DataBlessing.__module__}.DataBlessing"
    kubeflow_v2_run_executor.main((known, beam_arguments))
    restore_addresses(Path(executor_input.outputs.output_file), outputs)


if __name__ == "__main__":
    main(sys.argv[1:])
