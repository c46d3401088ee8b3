"""The group `track` of a config. Secrets stand in the environment, never here."""

from typing import Literal

from pydantic import Field, model_validator

from models.spec import Options


class WandbOptions(Options):
    """Weights & Biases; needs the extra `wandb`, and online the environment variable WANDB_API_KEY."""

    project: str = Field(min_length=1)
    entity: str | None = Field(None, description="User or team; default: the key's own.")
    mode: Literal["online", "offline"] = Field(
        "online", description="offline: only WORKSPACE/wandb is written, for `wandb sync`."
    )
    base_url: str | None = Field(
        None, pattern=r"^https?://[^@\s]+$", description="Of a server of your own, without a password."
    )
    timeout_seconds: float = Field(30.0, gt=0, description="For the server to answer at first.")


class MlflowOptions(Options):
    """MLflow; needs the extra `mlflow`, and of a server that asks for them MLFLOW_TRACKING_USERNAME and _PASSWORD."""

    tracking_uri: str | None = Field(
        None, pattern=r"^[^@\s]+$", description="Of the server, without a password; default: WORKSPACE/mlruns."
    )
    experiment: str | None = Field(None, min_length=1, description="Default: the pipeline's name.")
    timeout_seconds: float = Field(30.0, ge=1, description="For each answer of the server.")


class OpenTelemetryOptions(Options):
    """A trace of each run by OTLP over HTTP; needs the extra `otel`. Headers: OTEL_EXPORTER_OTLP_HEADERS."""

    endpoint: str = Field(
        pattern=r"^https?://[^@\s]+$", description="Of the collector, such as http://host:4318; /v1/traces is added."
    )
    timeout_seconds: float = Field(10.0, gt=0, description="For all attempts together.")


class OpenLineageOptions(Options):
    """OpenLineage's events of each run; needs the extra `openlineage`. A server's key: OPENLINEAGE_API_KEY."""

    url: str | None = Field(None, pattern=r"^https?://[^@\s]+$", description="Of the server, without a password …")
    file: str | None = Field(None, min_length=1, description="… or a file to which events are added, one a line.")
    namespace: str = Field("attention", min_length=1, description="Of the jobs.")
    timeout_seconds: float = Field(5.0, gt=0, description="For each event.")

    @model_validator(mode="after")
    def _one_place(self) -> "OpenLineageOptions":
        if (self.url is None) == (self.file is None):
            raise ValueError("takes `url` or `file`")
        return self


PACKAGES = {
    "mlflow": ("mlflow", "mlflow"),
    "wandb": ("wandb", "wandb"),
    "opentelemetry": ("opentelemetry.exporter.otlp.proto.http", "otel"),
    "openlineage": ("openlineage.client", "openlineage"),
}
"""Group of `track` → the package that it needs, and the extra that brings it."""


class TrackOptions(Options):
    mlflow: MlflowOptions | None = None
    wandb: WandbOptions | None = None
    opentelemetry: OpenTelemetryOptions | None = None
    openlineage: OpenLineageOptions | None = None

    @property
    def wanted(self) -> list[str]:
        """The groups that are set."""
        return [name for name in TrackOptions.model_fields if getattr(self, name) is not None]
