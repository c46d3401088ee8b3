"""Config → the two documents that Kubeflow Pipelines takes: PipelineSpec 2.1 and the platform spec."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from components.example_gen.errors import InputDataError
from components.example_gen.files import is_remote
from components.example_gen.inputs import paths_of
from models.spec import BertOptions
from pipeline import spans
from pipeline.assets import PREFIX
from pipeline.config import ConfigError, PipelineConfig
from pipeline.dag import create_pipeline
from pipeline.kubeflow.lint import ROOTS, lint
from pipeline.kubeflow.options import KubeflowConfig
from pipeline.kubeflow.steps import equip
from pipeline.workspace import Workspace

COMMAND = ("python", "-m", "pipeline.kubeflow.entrypoint")


@dataclass(frozen=True)
class Compiled:
    """A pipeline as Kubeflow takes it."""

    name: str
    documents: tuple[dict[str, Any], ...]

    @property
    def yaml(self) -> str:
        return yaml.safe_dump_all(self.documents, sort_keys=True, allow_unicode=True)

    @property
    def digest(self) -> str:
        """Names the content: equal pipelines have equal ones."""
        return hashlib.sha256(self.yaml.encode()).hexdigest()[:12]


def compile_pipeline(
    config: PipelineConfig, workspace: Workspace, image: str | None = None, pipeline_root: str | None = None
) -> Compiled:
    """Compiles a pipeline and reads the outcome as the backend would.

    Args:
        config: its `kubeflow` group says what the steps get.
        workspace: in the containers.
        image: instead of `kubeflow.image`.
        pipeline_root: instead of `kubeflow.pipeline_root`.

    Raises:
        ConfigError: one line for every reason why this config cannot run on Kubeflow.
    """
    given = {"image": image, "pipeline_root": pipeline_root}
    kubeflow = config.kubeflow.model_copy(update={key: value for key, value in given.items() if value is not None})
    try:
        config = config if _assets(config) else spans.with_files(config)
    except InputDataError as error:
        raise ConfigError(
            f"{error} Spans are settled when the pipeline is compiled, so they must be seen here."
        ) from None
    _refuse(list(_faults(config, kubeflow, workspace)), "This config cannot run on Kubeflow")
    try:
        pipeline = create_pipeline(config, workspace, at_run_time=True)
    except InputDataError as error:
        raise ConfigError(str(error)) from None
    pipeline.pipeline_info.pipeline_name = config.name.replace("_", "-")  # which is all that Kubeflow takes
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(
            default_image=kubeflow.image, default_commands=list(COMMAND), use_pipeline_spec_2_1=True
        )
    )
    spec = json_format.ParseDict(runner.run(pipeline, write_out=False)["pipelineSpec"], PipelineSpec())
    spec.default_pipeline_root = kubeflow.pipeline_root
    platform = equip(spec, kubeflow)
    _refuse(lint(spec), "Kubeflow Pipelines would refuse the compiled pipeline")
    documents = json_format.MessageToDict(spec), json_format.MessageToDict(platform)
    return Compiled(spec.pipeline_info.name, documents)


def _refuse(faults: list[str], what: str) -> None:
    if faults:
        raise ConfigError("\n".join([f"{what}:", *(f"  {fault}" for fault in faults)]))


def _inputs(config: PipelineConfig) -> list[str]:
    source = config.data.input
    return [path for part in (source.values() if isinstance(source, dict) else [source]) for path in paths_of(part)]


def _assets(config: PipelineConfig) -> list[str]:
    preset = [config.model.preset] if isinstance(config.model, BertOptions) else []
    return [name for name in (*_inputs(config), *preset) if name.startswith(PREFIX)]


def _faults(config: PipelineConfig, kubeflow: KubeflowConfig, workspace: Workspace) -> Iterator[str]:
    if not kubeflow.image:
        yield "`kubeflow.image` or --image must name the image that holds this project (deploy/container/Dockerfile)."
    if kubeflow.pipeline_root and not kubeflow.pipeline_root.startswith(ROOTS):
        yield f"`kubeflow.pipeline_root` must start with {', '.join(ROOTS)}. Received: {kubeflow.pipeline_root!r}."
    if not kubeflow.is_mounted(str(workspace.root)):
        yield (
            f"`kubeflow.volumes` must mount a claim at {workspace.root} or above: there one run's versions and "
            f"checkpoints wait for the next one. Received: {dict(kubeflow.volumes) or 'none'}."
        )
    for name in _assets(config):
        yield f"{name!r} lies in a cache of this machine: put it on a volume of `kubeflow.volumes` and give its path."
    for path in _inputs(config):
        if not path.startswith(PREFIX) and not is_remote(path) and not kubeflow.is_mounted(path):
            yield f"`data.input` must be an address or lie on a volume of `kubeflow.volumes`. Received: {path!r}."
    if config.schema_file and not kubeflow.is_mounted(config.schema_file):
        yield f"`schema_file` must lie on a volume of `kubeflow.volumes`. Received: {config.schema_file!r}."
    if config.beam.runner not in ("auto", "direct", "processes"):
        yield (
            f"`beam.runner: {config.beam.runner}`: Kubeflow keeps a step's artifacts on its pod's own disk, which "
            "workers elsewhere do not see; take processes, and give the steps cores (`kubeflow.steps`)."
        )
    if config.push.label:
        yield (
            f"`push.label: {config.push.label}` asks the servers what is stable, and steps in a cluster cannot; leave "
            "it out, or run `attention schedule` as a CronJob."
        )
