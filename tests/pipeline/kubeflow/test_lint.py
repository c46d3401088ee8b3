"""Each thing that the backend refuses is found in a spec that has it, and in no other."""

import re

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec

from pipeline.kubeflow.lint import lint


@pytest.fixture
def spec(compiled):
    return json_format.ParseDict(compiled.documents[0], PipelineSpec())


def change_executor(spec, step, change):
    deployment = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), PipelineDeploymentConfig())
    change(deployment.executors[f"{step}_executor"])
    spec.deployment_spec.Clear()
    spec.deployment_spec.update(json_format.MessageToDict(deployment))


def old_schema(spec):
    spec.schema_version = "2.0.0"


def wrong_name(spec):
    spec.pipeline_info.name = "Mood_of_day"


def local_root(spec):
    spec.default_pipeline_root = "/tmp/root"


def runtime_parameter(spec):
    spec.root.input_definitions.parameters["epochs"].parameter_type = 2


def unsettled_parameter(spec):
    spec.root.dag.tasks["Trainer"].inputs.parameters["run_fn"].runtime_value.runtime_parameter = "run_fn"


def unknown_pipeline_parameter(spec):
    spec.root.dag.tasks["Trainer"].inputs.parameters["run_fn"].component_input_parameter = "run_fn"


def missing_parameter(spec):
    del spec.root.dag.tasks["Trainer"].inputs.parameters["run_fn"]


def dangling_parameter(spec):
    source = spec.root.dag.tasks["Trainer"].inputs.parameters["run_fn"].task_output_parameter
    source.producer_task, source.output_parameter_key = "Tuner_task", "run_fn"


def dangling_artifact(spec):
    spec.root.dag.tasks["Trainer"].inputs.artifacts["schema"].task_output_artifact.producer_task = "SchemaGen_task"


def unknown_output(spec):
    spec.root.dag.tasks["Trainer"].inputs.artifacts["schema"].task_output_artifact.output_artifact_key = "scheme"


def missing_artifact(spec):
    del spec.root.dag.tasks["Trainer"].inputs.artifacts["schema"]


def dangling_dependency(spec):
    spec.root.dag.tasks["Trainer"].dependent_tasks.append("Tuner")


def unknown_component(spec):
    spec.root.dag.tasks["Trainer"].component_ref.name = "Tuner"


def resolver(spec):
    change_executor(spec, "BaselineModel", lambda executor: executor.resolver.SetInParent())


def importer_under_condition(spec):
    change_executor(spec, "BaselineModel", lambda executor: executor.importer.SetInParent())


def driver(spec):
    change_executor(
        spec, "ExampleGen", lambda executor: executor.container.lifecycle.pre_cache_check.command.append("python")
    )


def no_image(spec):
    change_executor(spec, "Trainer", lambda executor: executor.container.ClearField("image"))


def no_executor(spec):
    spec.components["Trainer"].executor_label = "Tuner_executor"


def span(spec):
    spec.root.dag.tasks["ExampleGen"].inputs.parameters["input_base"].runtime_value.constant.string_value = "/d/{SPAN}"


def words_for_a_condition(spec):
    spec.root.dag.tasks["Trainer"].trigger_policy.condition = "Unknown Comparison Operation 4"


def condition_on_no_input(spec):
    policy = spec.root.dag.tasks["Trainer"].trigger_policy
    policy.condition = policy.condition.replace("DataGate", "Gate")


def open_bracket(spec):
    spec.root.dag.tasks["Trainer"].trigger_policy.condition += " && ("


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (old_schema, "The schema version must be 2.1.0. Received: 2.0.0."),
        (wrong_name, "Received: 'Mood_of_day'."),
        (local_root, "The pipeline root must start with gs://, s3://, minio://. Received: '/tmp/root'."),
        (runtime_parameter, "The pipeline's parameter `epochs` has no value"),
        (unsettled_parameter, "`Trainer` has no value for its parameter `run_fn` when it is compiled."),
        (unknown_pipeline_parameter, "`Trainer` takes `run_fn` from a parameter that the pipeline does not have."),
        (missing_parameter, "`Trainer` has no value for its parameter `run_fn`."),
        (dangling_parameter, "`Trainer` takes the parameter `run_fn` from a task that is not there: 'Tuner_task'."),
        (dangling_artifact, "`Trainer` takes `schema` from a task that is not there: 'SchemaGen_task'."),
        (unknown_output, "`Trainer` takes `schema` from `SchemaGen`, which has no 'scheme'."),
        (missing_artifact, "`Trainer` gets no artifact for its input `schema`."),
        (dangling_dependency, "`Trainer` waits for a task that is not there: 'Tuner'."),
        (unknown_component, "`Trainer` names a component that is not there: 'Tuner'."),
        (resolver, "`BaselineModel` is a resolver"),
        (importer_under_condition, "`BaselineModel` is an importer under a condition"),
        (driver, "`ExampleGen` has a driver (`lifecycle.preCacheCheck`), which Kubeflow Pipelines never runs."),
        (no_image, "`Trainer` needs an image and a command."),
        (no_executor, "`Trainer` has no executor: 'Tuner_executor' is not there."),
        (span, "`ExampleGen` has {SPAN} in its parameter `input_base`"),
        (words_for_a_condition, "`Trainer` runs under a condition that is no CEL from 'Unknown"),
        (condition_on_no_input, "`Trainer` runs under a condition on '_Gate.blessing', which is no input of it."),
        (open_bracket, "`Trainer` runs under a condition whose brackets do not match"),
    ],
)
def test_what_the_backend_refuses_is_found(spec, spoil, message):
    spoil(spec)
    faults = lint(spec)
    assert any(re.search(re.escape(message), fault) for fault in faults), faults
    assert len(faults) == 1 or all("`Trainer`" in fault for fault in faults), faults


def test_a_compiled_pipeline_has_none_of_it(spec):
    assert lint(spec) == []
