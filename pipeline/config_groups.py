"""The groups of a config file, one class each; `pipeline.config` puts them together."""

import re
from typing import Literal

from pydantic import Field, field_validator

from components.example_gen.options import TableOptions
from components.release_gate.options import MetricLimits, ModelGates, SliceLimits
from models.spec import Options


class WindowConfig(Options):
    """A window that rolls over the spans of the input: the newest is tested on, and eval is cut from train."""

    train: int = Field(
        ge=1, description="How many spans before the newest are trained on; fewer, if no more are there."
    )


Paths = str | list[str]


class DataConfig(TableOptions):
    label: str | None = Field(None, description="Column that holds the class; or see `heads`.")
    input: Paths | dict[Literal["train", "eval", "test", "replay"], Paths] = Field(
        description="A file, a glob or a folder, or several; or these for each split, and for old rows of which the "
        "share `replay` is trained on; or `asset:NAME`. One path may hold {SPAN} (a number) or {DATE} (YYYYMMDD): the "
        "newest span is read, or those of `window`."
    )
    window: WindowConfig | None = Field(None, description="Spans to train on.")
    max_bad_ratio: float = Field(0.01, ge=0, le=1, description="Greatest share of rows in quarantine.")

    @field_validator("label")
    @classmethod
    def _label_has_a_name(cls, label: str | None) -> str | None:
        if label == "":
            raise ValueError("must name the column of the class, or `heads` must say what else is predicted")
        return label


class MetricGate(MetricLimits):
    """Limits of one metric over all rows and, if you like, in each of the slices."""

    slices: SliceLimits | None = Field(None, description="What each of `evaluation.slices` must keep.")


class EvaluationConfig(ModelGates):
    """Limits of metrics under `gates`; the others have defaults."""

    slices: list[str | list[str]] = Field(
        default_factory=list, description="Features by whose values metrics are told apart; a list crosses them."
    )
    gates: dict[str, MetricGate] = Field(
        min_length=1,
        description="Metric → limits. accuracy, macro_f1, auc, log_loss, expected_calibration_error, "
        "precision/CLASS, recall/CLASS, f1/CLASS; of an ordinal head mean_absolute_error and "
        "quadratic_weighted_kappa, too; of a multi_label head subset_accuracy, hamming_loss, micro_f1, macro_f1, auc, "
        "log_loss and those by class; of a regression head mean_absolute_error, root_mean_squared_error, mean_error, "
        "r_squared. A head that is not called `label` stands before: HEAD/METRIC. Without a gate nothing passes, so "
        "one is needed.",
    )


class PushConfig(Options):
    label: Literal["canary"] | None = Field(
        None, description="canary: a new version waits beside `stable` for `attention release`; default: it is live."
    )
    keep_versions: int = Field(5, ge=2, description="Newest versions kept; a live one is never deleted.")


class ReleaseLimits(Options):
    """What canary may be worse by than stable."""

    error_rate: float = Field(0.0, ge=0, le=1, description="Share of requests that stable answers and canary does not.")
    flip_rate: float = Field(0.1, ge=0, le=1, description="Share of rows with another answer than stable's.")
    latency_ratio: float = Field(2.0, ge=1, description="95th percentile of canary over that of stable …")
    latency_slack_ms: float = Field(10.0, ge=0, description="… unless canary is slower by no more than this.")


class ReleaseConfig(Options):
    """How a version gets from `canary` to `stable`: `attention release`, `attention rollback`."""

    servers: list[str] = Field(
        ["localhost:8500"], min_length=1, description="gRPC HOST:PORT of every server; all addresses of a name count."
    )
    base_path: str | None = Field(
        None, description="Of the versions, as the servers see it; default: the workspace's own."
    )
    model_config_file: str | None = Field(
        None, description="That the servers start from; default: serving/models.config in the workspace."
    )
    requests: str = Field(
        "recorded",
        description="Sent to both: those `recorded` with the versions, or a file of rows as `predict` reads.",
    )
    share: float = Field(1.0, gt=0, le=1, description="Of the requests, how many are sent to both.")
    min_requests: int = Field(20, ge=1, description="Fewer say too little: then canary goes back.")
    max_requests: int = Field(200, ge=1, description="Recorded requests are repeated until there are so many.")
    max_seconds: float = Field(300.0, gt=0, description="For all of them.")
    timeout_seconds: float = Field(10.0, gt=0, description="For one of them.")
    load_timeout_seconds: float = Field(300.0, gt=0, description="For a server to load a version.")
    keep_previous: bool = Field(True, description="Keep the version before loaded: going back then takes no time.")
    ca_file: str | None = Field(None, description="TLS: PEM of the authority that signed the servers.")
    certificate_file: str | None = Field(None, description="TLS: PEM to show them.")
    key_file: str | None = Field(None, description="TLS: its key.")
    limits: ReleaseLimits = ReleaseLimits()


class ServingConfig(Options):
    port: int = Field(8500, ge=0, le=65535, description="gRPC; 0: any free port.")
    rest_api_port: int = Field(8501, ge=0, le=65535, description="REST; 0: any free port.")


class MetadataConfig(Options):
    type: Literal["sqlite", "mysql", "postgresql"] = "sqlite"
    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535, description="0: the database's usual port.")
    database: str = "attention"
    user: str = ""
    password_variable: str = Field("METADATA_PASSWORD", description="Environment variable that holds the password.")


class ArtifactsConfig(Options):
    """Of runs on this machine; Kubeflow has its own object store."""

    store: str | None = Field(
        None,
        description="gs:// or s3:// folder that keeps a copy of every artifact; what the workspace lacks is fetched. "
        "s3:// needs the extra `s3`. Credentials come from the environment.",
    )

    @field_validator("store")
    @classmethod
    def _is_address(cls, store: str | None) -> str | None:
        if store is not None and not re.fullmatch(r"(gs|s3)://[^/@\s]+(/\S*)?", store):
            raise ValueError("must be gs://BUCKET/FOLDER or s3://BUCKET/FOLDER")
        return store
