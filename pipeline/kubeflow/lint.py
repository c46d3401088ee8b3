"""What open-source Kubeflow Pipelines refuses or never runs, found before anything is sent there.

TFX compiles for a managed service; its compiler lets through resolvers, importers under a condition, producers that do
not exist and patterns that only a driver resolves.
"""

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentSpec, PipelineDeploymentConfig, PipelineSpec, PipelineTaskSpec

SCHEMA_VERSION = "2.1.0"
ROOTS = ("gs://", "s3://", "minio://")
PLACES = re.compile(r"\{(?:SPAN|VERSION|DATE|YYYY|MM|DD)(?::\d+)?\}")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_TOKEN = re.compile(
    r"\s*(?:inputs\.artifacts\['(?P<input>[^']+)'\]\.artifacts\[\d+\]\.(?:metadata\['[^']+'\]|uri)"
    r"|-?\d+(?:\.\d+)?|'[^'\\]*'|==|<|>|&&|\|\||!|\+|\(|\))"
)


def lint(spec: PipelineSpec) -> list[str]:
    """Reads a compiled pipeline as the backend does.

    Returns:
        One sentence for each fault; empty if it may be sent.
    """
    return list(_faults(spec))


def _faults(spec: PipelineSpec) -> Iterator[str]:
    if spec.schema_version != SCHEMA_VERSION:
        yield f"The schema version must be {SCHEMA_VERSION}. Received: {spec.schema_version or 'none'}."
    if not NAME.fullmatch(spec.pipeline_info.name):
        yield (
            "The pipeline's name must be up to 128 lower-case letters, digits and hyphens, a hyphen not first. "
            f"Received: {spec.pipeline_info.name!r}."
        )
    if spec.default_pipeline_root and not spec.default_pipeline_root.startswith(ROOTS):
        yield f"The pipeline root must start with {', '.join(ROOTS)}. Received: {spec.default_pipeline_root!r}."
    for name, definition in spec.root.input_definitions.parameters.items():
        if not definition.HasField("default_value"):
            yield f"The pipeline's parameter `{name}` has no value, so every run would have to bring one."
    deployment = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), PipelineDeploymentConfig())
    tasks = spec.root.dag.tasks
    for name, task in tasks.items():
        component = spec.components.get(task.component_ref.name)
        if component is None:
            yield f"`{name}` names a component that is not there: {task.component_ref.name!r}."
            continue
        yield from _executor_faults(name, task, component, deployment)
        yield from _input_faults(name, task, component, spec)
        yield from _condition_faults(name, task)


def _executor_faults(
    name: str, task: PipelineTaskSpec, component: ComponentSpec, deployment: PipelineDeploymentConfig
) -> Iterator[str]:
    executor = deployment.executors.get(component.executor_label)
    kind = executor.WhichOneof("spec") if executor is not None else None
    if executor is None or kind is None:
        yield f"`{name}` has no executor: {component.executor_label!r} is not there."
    elif kind == "resolver":
        yield f"`{name}` is a resolver, which Kubeflow Pipelines does not run; look up what is live in a step."
    elif kind == "importer" and task.trigger_policy.condition:
        yield f"`{name}` is an importer under a condition, which Kubeflow Pipelines refuses; take it out of `Cond`."
    elif kind == "container":
        container = executor.container
        if not container.image or not container.command:
            yield f"`{name}` needs an image and a command. Received: {container.image!r}, {list(container.command)}."
        if container.HasField("lifecycle"):
            yield f"`{name}` has a driver (`lifecycle.preCacheCheck`), which Kubeflow Pipelines never runs."


def _input_faults(name: str, task: PipelineTaskSpec, component: ComponentSpec, spec: PipelineSpec) -> Iterator[str]:
    tasks = spec.root.dag.tasks
    for dependency in task.dependent_tasks:
        if dependency not in tasks:
            yield f"`{name}` waits for a task that is not there: {dependency!r}."
    for key in component.input_definitions.artifacts:
        if key not in task.inputs.artifacts:
            yield f"`{name}` gets no artifact for its input `{key}`."
    for key, artifact in task.inputs.artifacts.items():
        source = artifact.task_output_artifact
        producer = tasks.get(source.producer_task)
        if producer is None:
            yield f"`{name}` takes `{key}` from a task that is not there: {source.producer_task!r}."
        elif source.output_artifact_key not in _outputs(producer, spec):
            yield f"`{name}` takes `{key}` from `{source.producer_task}`, which has no {source.output_artifact_key!r}."
    for key, definition in component.input_definitions.parameters.items():
        if key not in task.inputs.parameters and not definition.HasField("default_value"):
            yield f"`{name}` has no value for its parameter `{key}`."
    for key, parameter in task.inputs.parameters.items():
        kind = parameter.WhichOneof("kind")
        if kind == "runtime_value":
            if parameter.runtime_value.WhichOneof("value") != "constant":
                yield f"`{name}` has no value for its parameter `{key}` when it is compiled."
            for place in PLACES.findall(str(json_format.MessageToDict(parameter.runtime_value.constant))):
                yield f"`{name}` has {place} in its parameter `{key}`, which only a driver puts a span into."
        elif kind == "component_input_parameter":
            if parameter.component_input_parameter not in spec.root.input_definitions.parameters:
                yield f"`{name}` takes `{key}` from a parameter that the pipeline does not have."
        elif kind == "task_output_parameter":
            producer = tasks.get(parameter.task_output_parameter.producer_task)
            if producer is None:
                missing = parameter.task_output_parameter.producer_task
                yield f"`{name}` takes the parameter `{key}` from a task that is not there: {missing!r}."


def _outputs(task: PipelineTaskSpec, spec: PipelineSpec) -> Any:
    component = spec.components.get(task.component_ref.name)
    return component.output_definitions.artifacts if component is not None else ()


def _condition_faults(name: str, task: PipelineTaskSpec) -> Iterator[str]:
    """Holds a condition to the part of CEL that TFX writes; it puts what it cannot say into words."""
    condition, position = task.trigger_policy.condition, 0
    while position < len(condition):
        token = _TOKEN.match(condition, position)
        if token is None:
            yield f"`{name}` runs under a condition that is no CEL from {condition[position:]!r} on: {condition!r}."
            return
        if token["input"] and token["input"] not in task.inputs.artifacts:
            yield f"`{name}` runs under a condition on {token['input']!r}, which is no input of it."
        position = token.end()
    if condition.count("(") != condition.count(")"):
        yield f"`{name}` runs under a condition whose brackets do not match: {condition!r}."
