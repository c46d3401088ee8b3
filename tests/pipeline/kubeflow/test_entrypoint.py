"""A step finds local files, named and typed artifacts, and leaves addresses behind."""

import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentInputsSpec, ExecutorInput, ExecutorOutput
from tfx.dsl.components.base import base_executor
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types import standard_artifacts

from components.artifacts import DataBlessing
from pipeline.kubeflow import entrypoint

SEEN = {}


class Executor(base_executor.BaseExecutor):
    """Notes what it is given, and publishes."""

    def Do(self, input_dict, output_dict, exec_properties):  # noqa: N802  # TFX's name
        (examples,), (blessing,) = input_dict["examples"], output_dict["blessing"]
        SEEN.update(examples=examples, blessing=blessing, properties=exec_properties)
        Path(blessing.uri, "copy").write_bytes(Path(examples.uri, "rows").read_bytes())
        blessing.set_int_custom_property("blessed", 1)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the entrypoint as Kubeflow calls it; gives what it wrote for the launcher."""
    mounts = {scheme: f"{tmp_path}{mount}" for scheme, mount in entrypoint.MOUNTS.items()}
    monkeypatch.setattr(entrypoint, "MOUNTS", mounts)
    (tmp_path / "minio" / "bucket" / "examples").mkdir(parents=True)
    (tmp_path / "minio" / "bucket" / "examples" / "rows").write_bytes(b"rows")

    executor_input = ExecutorInput()
    examples = executor_input.inputs.artifacts["examples"].artifacts.add(uri="minio://bucket/examples")
    examples.type.schema_title = "system.Artifact"
    examples.metadata.update({"split_names": '["train"]', "rows_used": 7.0})
    executor_input.inputs.parameter_values["live_version"].number_value = -1
    blessing = executor_input.outputs.artifacts["blessing"].artifacts.add(uri="s3://bucket/run/blessing")
    blessing.type.instance_schema = compiler_utils.get_artifact_schema(DataBlessing)
    executor_input.outputs.output_file = str(tmp_path / "outputs" / "output_metadata.json")
    inputs_spec = ComponentInputsSpec()
    schema = compiler_utils.get_artifact_schema(standard_artifacts.Examples)
    inputs_spec.artifacts["examples"].artifact_type.instance_schema = schema
    inputs_spec.parameters["live_version"].parameter_type = 2  # NUMBER_INTEGER
    entrypoint.main(
        [
            "--executor_class_path", f"{__name__}.Executor",
            "--json_serialized_invocation_args", json_format.MessageToJson(executor_input),
            "--json_serialized_inputs_spec_args", json_format.MessageToJson(inputs_spec),
            "--runner=DirectRunner",
        ]
    )  # fmt: skip
    text = Path(executor_input.outputs.output_file).read_text(encoding="utf-8")
    return json_format.Parse(text, ExecutorOutput())


def test_a_step_works_on_the_launchers_copies(run, tmp_path):
    assert SEEN["examples"].uri == f"{tmp_path}/minio/bucket/examples"
    assert SEEN["blessing"].uri == f"{tmp_path}/s3/bucket/run/blessing"
    assert (tmp_path / "s3" / "bucket" / "run" / "blessing" / "copy").read_bytes() == b"rows"


def test_types_and_numbers_are_what_they_were(run):
    assert isinstance(SEEN["examples"], standard_artifacts.Examples)
    assert json.loads(SEEN["examples"].split_names) == ["train"]
    assert SEEN["examples"].get_int_custom_property("rows_used") == 7
    assert isinstance(SEEN["blessing"], DataBlessing)
    assert SEEN["properties"] == {"live_version": -1}
    assert isinstance(SEEN["properties"]["live_version"], int)


def test_the_launcher_gets_addresses_back(run):
    (blessing,) = run.artifacts["blessing"].artifacts
    assert blessing.uri == "s3://bucket/run/blessing"
    assert blessing.metadata["blessed"] == 1


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("minio://bucket/a", "/minio/bucket/a"),
        ("/tmp/a", "/tmp/a"),
    ],
)
def test_an_address_has_its_place(uri, path):
    assert entrypoint.local_path(uri) == path
