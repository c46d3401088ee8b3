"""What a model must show in a process of its own before it is pushed."""

from pydantic import BaseModel, ConfigDict, Field

METRICS_FILE = "metrics.json"
"""In the blessing's directory: the candidate's metrics over the whole test split, readable without TFMA."""

SIGNATURES = ("serving_default", "examples", "explain")
"""That every model has; beside them, each head has one of its own."""


class ReleaseGateOptions(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signatures: tuple[str, ...] = Field(
        (*SIGNATURES, "classify"), min_length=1, description="Each must be there and be replayed."
    )
    tolerance: float = Field(1e-4, gt=0, description="Greatest difference of a number from the recorded one.")
    timeout_seconds: float = Field(300, gt=0, description="For loading and replaying together.")
    known_ops: tuple[str, ...] | None = Field(
        None, min_length=1, description="Operations of the target server; default: those of this TensorFlow."
    )
