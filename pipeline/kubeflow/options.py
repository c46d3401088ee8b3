"""The config's `kubeflow` group: where the steps run, on what, and with which secrets."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from models.spec import Options

NEVER_CACHED = ("DataGate", "BaselineModel", "Pusher")
"""They look at what is live, which is no input of theirs."""

UNCACHED = ("ExampleGen", *NEVER_CACHED)
"""Kubeflow takes no fingerprint of a table: one of the same name would pass for the same."""

Step = Literal[
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ImportSchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Trainer",
    "BaselineModel",
    "Evaluator",
    "ReleaseGate",
    "Pusher",
]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SecretKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9._-]+$")]
Claim = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
MountPath = Annotated[str, StringConstraints(pattern=r"^/[^:]*[^/:]$")]


class GpuOptions(Options):
    count: int = Field(1, ge=1)
    type: str = Field("nvidia.com/gpu", description="The resource's name in Kubernetes.")


class StepOptions(Options):
    """What one step gets."""

    image: str = Field("", description="Instead of the image of all steps: of the target gpu, say.")
    cpu: float | None = Field(None, gt=0, description="Cores, requested and at most.")
    memory: str | None = Field(
        None, pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|K|M|G|T)?$", description="Requested and at most, such as 8Gi."
    )
    gpu: GpuOptions | None = None
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels of the nodes it may run on.")
    retries: int = Field(0, ge=0, description="How often it is tried again; the pause doubles from 30 seconds on.")
    timeout_seconds: int | None = Field(None, ge=1, description="A pod that takes longer is killed.")
    caching: bool | None = Field(
        None, description="Default: on, but for ExampleGen and the steps that look at what is live."
    )
    secrets: dict[Variable, SecretKey] = Field(
        default_factory=dict, description="Environment variable → SECRET/KEY in the pipeline's namespace."
    )


class KubeflowConfig(Options):
    """Kubeflow Pipelines: `attention compile`, `attention submit`."""

    image: str = Field("", description="Of deploy/container/Dockerfile; all steps run in it.")
    pipeline_root: str = Field("", description="gs://, s3:// or minio:// of the artifacts; default: Kubeflow's own.")
    workspace: str = Field(
        "/workspace", pattern=r"^/", description="In the containers: versions, checkpoints, quarantined rows."
    )
    volumes: dict[Claim, MountPath] = Field(
        default_factory=dict, description="Claim → mount path, in every step; one of them holds the workspace."
    )
    defaults: StepOptions = Field(StepOptions(), description="Of all steps.")
    steps: dict[Step, StepOptions] = Field(default_factory=dict, description="What single steps have otherwise.")

    @model_validator(mode="after")
    def _what_is_live_is_looked_up_each_time(self) -> "KubeflowConfig":
        for name in NEVER_CACHED:
            if name in self.steps and self.steps[name].caching:
                raise ValueError(f"`steps.{name}.caching`: this step looks at what is live, so it cannot be cached")
        return self

    def of_step(self, name: str) -> StepOptions:
        """The defaults, and over them what the step has of its own; `caching` is settled."""
        own = self.steps.get(name, StepOptions())  # type: ignore[call-overload]
        given = {field: getattr(own, field) for field in own.model_fields_set}
        merged = self.defaults.model_copy(update=given)
        caching = own.caching
        if caching is None:
            caching = self.defaults.caching is not False and name not in UNCACHED
        return merged.model_copy(update={"caching": caching})

    def is_mounted(self, path: str) -> bool:
        """Whether a path lies on one of the volumes."""
        return any(path == mount or path.startswith(f"{mount}/") for mount in self.volumes.values())
