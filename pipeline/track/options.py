"""The group `track` of a config. Secrets stand in the environment, never here."""

from typing import Literal

from pydantic import Field

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


class TrackOptions(Options):
    mlflow: MlflowOptions | None = None
    wandb: WandbOptions | None = None

    @property
    def wanted(self) -> list[str]:
        """The trackers that are told, by the names of their packages and extras."""
        return [name for name in TrackOptions.model_fields if getattr(self, name) is not None]
