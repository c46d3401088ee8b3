"""What is known of a run, as `run.json` holds it; `attention report --schema` prints its JSON schema."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PAGE, FACTS, SUMMARY = "report.html", "run.json", "summary.md"
"""The files of a record."""


class Fact(BaseModel):
    """Frozen; what is not known is null or empty, and never made up. A number that JSON lacks is null."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class StepFact(Fact):
    node: str
    state: Literal["ran", "cached", "failed", "interrupted", "running"]
    seconds: float = Field(description="Wall clock; 0 for what was cached.")
    error: str = ""
    started: datetime | None = None


class GateFact(Fact):
    name: str
    passed: bool
    value: float | None
    limit: float | None
    why: str
    severity: Literal["block", "warn"]
    rows: list[str] = Field([], description="Rows that decided, as a reader has them.")
    overruled: str = Field("", description="The reason of the person who let it pass all the same.")
    step: str = Field("", description="The node that made it.")

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity == "block" and not self.overruled


class SplitFact(Fact):
    name: str
    rows: int
    classes: dict[str, dict[str, int]] = Field(description="Label → class → rows; of labels that are classes.")
    numbers: dict[str, dict[str, float]] = Field(
        description="Label → `min`, `mean`, `median`, `max`, `std_dev`; of labels that are numbers."
    )


class DistributionFact(Fact):
    """How a feature or label is spread."""

    name: str
    kind: Literal["number", "category", "words"] = Field(description="`words`: a text by its number of words.")
    bins: list[str] = Field(description="As a reader has them. Those of a number hold what is above the bin before.")
    shares: dict[str, list[float]] = Field(
        description="Split, or `live version N` for what that was trained on → share of its values in each bin."
    )


class DataFact(Fact):
    source_files: list[str] = Field(description="The first hundred.")
    source_sha256: dict[str, str] = Field(description="By file; empty if one is remote, changed since, or all are big.")
    fingerprint: str = Field(description="TFX's, of the sizes and times of change of the source files.")
    rows_read: int
    rows_used: int
    rows_quarantined: int
    rows_replayed: int = Field(0, description="Of those used, rows of spans before the window.")
    rows_passed_over: int = Field(0, description="Rows of such spans that `data.replay` did not choose.")
    quarantined_by_reason: dict[str, int]
    first_quarantined: list[str]
    quarantine_file: str
    splits: list[SplitFact]
    distributions: list[DistributionFact] = Field([], description="Labels and features; empty before StatisticsGen.")


class TrainingFact(Fact):
    curve: list[dict[str, float | None]] = Field(description="One an epoch: metric → value; `val_` on the eval split.")
    best_epoch: int = Field(description="From 1; its weights are kept.")
    seconds: float
    rows_per_second: float
    temperatures: dict[str, float] = Field(description="Head → what its logits were divided by to calibrate them.")
    tuned: dict[str, bool | int | float | str] = Field({}, description="Options that a search gave other values.")


class TrialFact(Fact):
    trial: int
    state: Literal["done", "failed"]
    score: float | None
    values: dict[str, bool | int | float | str] = Field(description="Dotted path → value.")
    epochs: int | None = Field(description="Of hyperband; null: as the config has it.")
    why: str = Field(description="A failed trial failed.")


class SearchFact(Fact):
    """The search that gave the training its values, in this run or in an earlier one."""

    objective: str = Field(description="Metric on the eval split.")
    score: float = Field(description="The best trial's.")
    values: dict[str, bool | int | float | str] = Field(description="The best trial's.")
    trials: list[TrialFact]


class MetricFact(Fact):
    name: str
    value: float | None
    live: float | None = Field(description="The live version's, on the same rows.")
    change_low: float | None = Field(
        None, description="Where the change lies but for chance (`evaluation.confidence`)."
    )
    change_high: float | None = None
    limits: dict[str, float] = Field(description="`min`, `max`, `max_drop`, `max_rise`, as the config gives them.")
    passed: bool | None = Field(description="Whether all limits are kept; null without limits.")


class CalibrationBin(Fact):
    """Rows by the probability of their answer, in equal bins from 0 to 1 (Guo et al. 2017); empty ones are left out."""

    rows: int
    probability: float = Field(description="Mean of the bin's rows.")
    accuracy: float


class HeadFact(Fact):
    name: str
    type: str
    classes: list[str] = Field(description="In the order of the matrix.")
    confusion: list[list[int]] = Field(description="Rows of the test split, true class by predicted class.")
    calibration: list[CalibrationBin]
    by_class: dict[str, dict[str, float]] = Field(description="Class → `precision`, `recall`, `f1`, `support`.")


class SliceFact(Fact):
    name: str = Field(description="`feature=value`, several joined by a comma.")
    metrics: dict[str, float] = Field(description="Without those of single classes.")


class WordFact(Fact):
    text: str
    weight: float = Field(description="Share of the attention; all of a row's add up to 1.")
    feature: str


class AnswerFact(Fact):
    label: str | None = None
    probabilities: dict[str, float] = Field({}, description="The greatest first, at most ten.")
    value: float | None = None


class ExampleFact(Fact):
    row: int = Field(description="Place in the test split.")
    right: bool | None = Field(description="Null where a number is predicted.")
    labels: dict[str, list[str | float]] = Field(description="By head.")
    answers: dict[str, AnswerFact] = Field(description="By head.")
    words: list[WordFact]


class WordCurveFact(Fact):
    """How far answers move, one number for each of `words`, mean over the rows."""

    order: str = Field(description="Of the words: attention, random, occlusion or shap.")
    rows: int
    deleted: list[float] = Field(description="Without the first words.")
    inserted: list[float] = Field(description="With the first words alone.")


class DeletionFact(Fact):
    head: str = Field(description="Whose answer is told.")
    is_number: bool = Field(description="Told in standard deviations of the answers, not the probability of the class.")
    words: list[int] = Field(description="How many words are deleted, or left.")
    curves: list[WordCurveFact]


class LineageFact(Fact):
    artifact: str
    id: int
    uri: str
    made_by: str
    run: str


class ModelFact(Fact):
    uri: str
    bytes: int = Field(description="Of all files of the SavedModel.")
    pushed_to: str = Field("", description="The version's folder, if this run's model is there.")
    content_hash: str = Field("", description="Of the pushed version.")


class EnvironmentFact(Fact):
    python: str
    platform: str
    processors: int | None
    packages: dict[str, str] = Field(description="Distribution → version.")


class RunReport(Fact):
    """The record of a run."""

    schema_version: Literal[1] = 1
    pipeline: str
    run: str
    started: datetime | None
    verdict: str = Field(description="pushed, unchanged, blocked, failed, interrupted or running.")
    why: str
    version: int | None = Field(description="That was pushed, or whose model is the same as this run's.")
    live_version: int | None = Field(description="That the model was compared with; null if none was live.")
    steps: list[StepFact]
    data: DataFact | None
    training: TrainingFact | None
    search: SearchFact | None = None
    metrics: list[MetricFact] = Field(description="On the test split, through the served signature.")
    heads: list[HeadFact]
    slices: list[SliceFact]
    gates: list[GateFact]
    examples: list[ExampleFact] = Field(description="Test rows with their attention: the surest right and wrong ones.")
    deletion: DeletionFact | None = Field(None, description="Whether the words attended to are those that mattered.")
    model: ModelFact | None
    lineage: list[LineageFact] = Field(description="From the newest artifact back to the examples.")
    config: dict[str, Any]
    environment: EnvironmentFact | None


def json_schema() -> dict[str, Any]:
    """JSON schema of `run.json`."""
    return RunReport.model_json_schema(mode="serialization")
