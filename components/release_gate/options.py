"""What a model must show before it is pushed: the gates of the config's `evaluation` group, and what they are told."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

METRICS_FILE = "metrics.json"
"""In the blessing's directory: the candidate's metrics over the whole test split, readable without TFMA."""

NOISE_FILE = "noise.json"
"""Beside it: metric → what chance does to its change against the live version."""

DELETION_FILE = "deletion.json"
"""Beside it: what deleting the most attended words does to the answers, and what deleting random ones does."""

EXAMPLES_FILE = "examples.json"
"""Beside it: a few rows with their answers and attention, for the run's report."""

SIGNATURES = ("serving_default", "examples", "explain")
"""That every model has; beside them, each head has one of its own."""

Share = Annotated[float, Field(ge=0, le=1)]
Severity = Literal["block", "warn"]


class GateGroup(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FlipGates(GateGroup):
    """How far the answers may move away from the live version's."""

    max: Share = Field(0.2, description="Share of rows with another label, overall and in each slice.")
    max_change: float = Field(0.5, ge=0, description="Of a number: mean change over the labels' standard deviation.")
    min_rows: int = Field(30, ge=1, description="Smaller slices are not judged.")
    severity: Severity = "warn"


class CalibrationGate(GateGroup):
    max: Share = Field(0.15, description="Greatest expected calibration error.")
    severity: Severity = "warn"


class RobustnessGates(GateGroup):
    """What harmless changes of the texts may do."""

    min: float = Field(0.8, ge=0, description="Share of the accuracy that is kept (of a number: error over error).")
    rows: int = Field(200, ge=1, description="Rows that are changed.")
    synonyms: str | None = Field(
        None, description="File of words that mean the same, a group a line: each is put in the other's place, too."
    )
    severity: Severity = "warn"
    tolerance: float = Field(1e-4, gt=0, description="What other rows in the batch, and their order, may change.")


class FairnessGates(GateGroup):
    """How far the values of one feature may be apart in quality."""

    columns: list[str] | None = Field(None, description="Features; default: those of `slices` that stand alone.")
    metric: str | None = Field(None, description="Default: the first head's accuracy, or mean_absolute_error.")
    max_gap: float = Field(0.2, ge=0, description="Between the best and the worst; of an error over that of all rows.")
    min_rows: int = Field(50, ge=1, description="Smaller slices are not judged.")
    severity: Severity = "warn"


class AttentionGate(GateGroup):
    """Whether the words that are shown are those that mattered."""

    min: float = Field(
        0.0, description="How much more deleting attended words must move the probability than random ones."
    )
    rows: int = Field(100, ge=1, description="Rows in which words are deleted.")
    words: tuple[int, ...] = Field((1, 2, 3, 5), min_length=1, description="How many words are deleted.")
    occlusion_rows: int = Field(20, ge=0, description="Rows in which also each word alone is deleted.")
    shap_rows: int = Field(0, ge=0, description="Rows of which also SHAP values are reckoned; needs the extra `shap`.")
    min_overlap: Share = Field(0.3, description="Of the three most attended words, how many the live version's share.")
    severity: Severity = "warn"


class SanityGates(GateGroup):
    """Not constant, and not worse than always giving the same answer."""

    severity: Severity = "block"
    max_train_eval_gap: Share = Field(0.15, description="Accuracy in train less that in eval; more is a warning.")


class CostGates(GateGroup):
    """Size, memory and speed; without a limit they are measured all the same."""

    max_bytes: int = Field(4_000_000_000, ge=1, description="Of all files of the version.")
    max_load_seconds: float | None = Field(None, gt=0)
    max_memory_bytes: int | None = Field(
        None, ge=1, description="Peak of a fresh process with TensorFlow and the model, over the recorded requests."
    )
    max_model_memory_bytes: int | None = Field(None, ge=1, description="The part of it that the model adds.")
    max_p50_ms: float | None = Field(None, gt=0, description="Of requests, in the process itself.")
    max_p99_ms: float | None = Field(None, gt=0)
    requests: int = Field(50, ge=1, description="How many are measured.")
    batch_size: int = Field(1, ge=1, description="Rows of a request.")
    concurrency: int = Field(1, ge=1, description="Requests at a time.")
    severity: Severity = "block"


class ForgettingGate(GateGroup):
    """Frozen test sets: rows of past test splits, raw and with their labels, that each version keeps with it."""

    rows: int = Field(500, ge=1, description="Rows of the test split that a pushed version keeps.")
    sets: int = Field(
        6, ge=0, description="Sets that a version carries, the older the farther apart; 0: no row is kept, no gate."
    )
    max_drop: Share = Field(0.02, description="How far accuracy on a set may fall below the live version's.")
    max_rise: float = Field(0.05, ge=0, description="Of a number: of the mean error over the labels' deviation.")
    min_rows: int = Field(30, ge=1, description="Sets of which fewer can be compared are not judged.")
    severity: Severity = "block"


class ModelGates(GateGroup):
    """Gates on what the model answers to rows of the test split."""

    rows: int = Field(500, ge=1, description="Rows of the test split that are asked; the same in equal runs.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="A drop within the noise of so much does not block.")
    flips: FlipGates = FlipGates()
    forgetting: ForgettingGate = ForgettingGate()
    calibration: CalibrationGate = CalibrationGate()
    robustness: RobustnessGates = RobustnessGates()
    fairness: FairnessGates = FairnessGates()
    attention: AttentionGate = AttentionGate()
    sanity: SanityGates = SanityGates()
    cost: CostGates = CostGates()


class MetricLimits(GateGroup):
    """Limits of one metric. At least one of them is given."""

    min: float | None = Field(None, description="Least value.")
    max: float | None = Field(None, description="Greatest value.")
    max_drop: float | None = Field(None, ge=0, description="How far below the live version's value it may fall.")
    max_rise: float | None = Field(None, ge=0, description="How far above the live version's value it may rise.")
    severity: Severity = Field("block", description="block stops the push, warn is only told.")

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.min is self.max is self.max_drop is self.max_rise is None:
            raise ValueError("needs one of min, max, max_drop, max_rise")
        if self.max_drop is not None and self.max_rise is not None:
            raise ValueError("takes max_drop (higher is better) or max_rise (lower is better), not both")
        return self


class SliceLimits(MetricLimits):
    """What each slice must keep; a slice that is beyond it by no more than noise warns."""

    min_rows: int = Field(50, ge=1, description="Slices of fewer rows are not judged.")


class HeadOptions(GateGroup):
    """What the gates are told of a head."""

    type: Literal["single_label", "multi_label", "ordinal", "regression"] = "single_label"
    prefix: str = Field("", description="Before the names of its outputs, and, with / for _, of its metrics.")
    threshold: float = 0.5

    @property
    def label_type(self) -> str:
        """How its label lies in the examples."""
        return {"regression": "number", "multi_label": "categories"}.get(self.type, "category")

    def metric(self, name: str) -> str:
        """The full name of one of its metrics."""
        return f"{self.prefix.removesuffix('_')}/{name}" if self.prefix else name


class ReleaseGateOptions(GateGroup):
    """All that the node is told."""

    signatures: tuple[str, ...] = Field(
        (*SIGNATURES, "classify"), min_length=1, description="Each must be there and be replayed."
    )
    tolerance: float = Field(1e-4, gt=0, description="Greatest difference of a number from the recorded one.")
    timeout_seconds: float = Field(300, gt=0, description="For loading and replaying together, and for each question.")
    known_ops: tuple[str, ...] | None = Field(
        None, min_length=1, description="Operations of the target server; default: those of this TensorFlow."
    )
    gates: ModelGates = ModelGates()
    heads: dict[str, HeadOptions] = Field({"label": HeadOptions()}, min_length=1)
    features: dict[str, str] = Field(default_factory=dict, description="Name → type, `passthrough` too.")
    slices: tuple[tuple[str, ...], ...] = Field((), description="Features by whose values flips are told apart.")
    synonyms: tuple[tuple[str, ...], ...] = Field((), description="What the file of synonyms says.")
    slice_limits: dict[str, SliceLimits] = Field(default_factory=dict, description="Metric → what each slice keeps.")
    metric_severities: dict[str, Severity] = Field(default_factory=dict, description="Metric → what a limit does.")
