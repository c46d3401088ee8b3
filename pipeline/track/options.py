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


class TrackOptions(Options):
    wandb: WandbOptions | None = None
