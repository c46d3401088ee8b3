"""Walks a compiled pipeline as Kubeflow Pipelines does: driver, condition, container command, output file.

Artifacts lie on the local disk; of the rest it keeps the backend's habits: numbers come back as floats, artifacts have
no names, and the types of inputs are lost.
"""

import graphlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import celpy
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as kfp

REPOSITORY = Path(__file__).parents[2]
FORGOTTEN_TYPE = "system.Artifact"


@dataclass
class Walk:
    """One run of a compiled pipeline.

    Attributes:
        root: artifacts and logs, a folder for each step.
        states: step → `ran` or `skipped`, in the order in which they came.
        artifacts: (step, output) → what the step published.
    """

    root: Path
    states: dict[str, str] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], kfp.RuntimeArtifact] = field(default_factory=dict)

    def run(self, package: Path) -> "Walk":
        """Runs every step whose condition holds."""
        spec = json_format.ParseDict(next(yaml.safe_load_all(package.read_text("utf-8"))), kfp.PipelineSpec())
        deployment = json_format.ParseDict(
            json_format.MessageToDict(spec.deployment_spec), kfp.PipelineDeploymentConfig()
        )
        tasks = spec.root.dag.tasks
        for name in graphlib.TopologicalSorter({name: _upstream(task) for name, task in tasks.items()}).static_order():
            component = spec.components[tasks[name].component_ref.name]
            if any(self.states[upstream] == "skipped" for upstream in _upstream(tasks[name])):
                self.states[name] = "skipped"
                continue
            executor_input = self._executor_input(name, tasks[name], component)
            if not _holds(tasks[name].trigger_policy.condition, executor_input):
                self.states[name] = "skipped"
                continue
            self._run_container(name, deployment.executors[component.executor_label].container, executor_input)
            self._publish(name, executor_input)
            self.states[name] = "ran"
        return self

    def metadata(self, step: str, output: str) -> dict:
        """What a step says of one of its outputs."""
        return json_format.MessageToDict(self.artifacts[step, output].metadata)

    def _executor_input(self, name: str, task: kfp.PipelineTaskSpec, component: kfp.ComponentSpec) -> kfp.ExecutorInput:
        executor_input = kfp.ExecutorInput()
        for key, parameter in task.inputs.parameters.items():
            executor_input.inputs.parameter_values[key].CopyFrom(parameter.runtime_value.constant)
        for key, source in task.inputs.artifacts.items():
            output = source.task_output_artifact
            published = self.artifacts[output.producer_task, output.output_artifact_key]
            artifact = executor_input.inputs.artifacts[key].artifacts.add(uri=published.uri)
            artifact.metadata.CopyFrom(published.metadata)
            artifact.type.schema_title = FORGOTTEN_TYPE
        for key, definition in component.output_definitions.artifacts.items():
            artifact = executor_input.outputs.artifacts[key].artifacts.add(uri=str(self.root / name / key))
            artifact.type.CopyFrom(definition.artifact_type)
            artifact.metadata.CopyFrom(definition.metadata)
        executor_input.outputs.output_file = str(self.root / name / "executor_output.json")
        return executor_input

    def _run_container(self, name: str, container, executor_input: kfp.ExecutorInput) -> None:
        """Runs the command of a container, as the launcher does with the placeholder filled in."""
        told = json_format.MessageToJson(executor_input)
        command = [argument.replace("{{$}}", told) for argument in (*container.command, *container.args)]
        environment = os.environ | {each.name: each.value for each in container.env}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `python` of the image
            "PYTHONPATH": str(REPOSITORY),
        }
        environment.pop("TF_USE_LEGACY_KERAS", None)  # the image does not have it
        folder = self.root / name
        folder.mkdir(parents=True)
        with open(folder / "log", "w", encoding="utf-8") as log:
            done = subprocess.run(command, env=environment, stdout=log, stderr=log, cwd=folder, check=False)
        assert done.returncode == 0, f"{name}: {(folder / 'log').read_text('utf-8')[-3000:]}"

    def _publish(self, name: str, executor_input: kfp.ExecutorInput) -> None:
        text = Path(executor_input.outputs.output_file).read_text("utf-8")
        written = json_format.Parse(text, kfp.ExecutorOutput()).artifacts
        for key, wanted in executor_input.outputs.artifacts.items():
            (artifact,), (told,) = wanted.artifacts, written[key].artifacts
            artifact.uri = told.uri or artifact.uri
            artifact.metadata.update(json_format.MessageToDict(told.metadata))
            self.artifacts[name, key] = artifact


def _upstream(task: kfp.PipelineTaskSpec) -> set[str]:
    producers = {source.task_output_artifact.producer_task for source in task.inputs.artifacts.values()}
    return producers | set(task.dependent_tasks)


def _holds(condition: str, executor_input: kfp.ExecutorInput) -> bool:
    if not condition:
        return True
    environment = celpy.Environment()
    program = environment.program(environment.compile(condition))
    told = json_format.MessageToDict(executor_input.inputs)
    return bool(program.evaluate({"inputs": celpy.json_to_cel(told)}))
