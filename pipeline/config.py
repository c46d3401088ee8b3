"""One `PipelineConfig`: from a YAML file and `--set`, frozen, every fault told at once."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from components.example_gen.options import ExampleGenOptions
from components.schema_gen.options import ValidationOptions
from models.search_space import TuneOptions
from models.spec import (
    BERT_RECIPE,
    LABEL_KEY,
    LABEL_TYPES,
    AnyFeature,
    AnyHead,
    AnyModel,
    BertOptions,
    ExplainOptions,
    ModelOptions,
    ModelSpec,
    MultiLabelHead,
    Options,
    SingleLabelHead,
    TextOptions,
    TrainOptions,
)
from pipeline import presets
from pipeline.beam.options import AnyBeam, AutoBeam
from pipeline.config_faults import describe
from pipeline.config_groups import (
    ArtifactsConfig,
    DataConfig,
    EvaluationConfig,
    MetadataConfig,
    PushConfig,
    ReleaseConfig,
    ServingConfig,
)
from pipeline.kubeflow.options import KubeflowConfig
from pipeline.notify.options import MetricsOptions, NotifyOptions
from pipeline.schedule.options import ScheduleOptions
from pipeline.track.options import TrackOptions
from pipeline.tuning.space import space_faults

FEATURE_NAME = r"^[a-z][a-z0-9_]*$"


class ConfigError(ValueError):
    """The config cannot be used; the message lists every fault with its path."""


class MetadataError(RuntimeError):
    """The database that `metadata` names cannot be used; the message says which one and why."""


class ArtifactStoreError(RuntimeError):
    """The object store that `artifacts.store` names cannot be used, or holds something else; the message says why."""


class PipelineConfig(Options):
    """Everything that decides what a run does."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Of the pipeline and of the served model.")
    data: DataConfig
    features: dict[str, AnyFeature] = Field(min_length=1)
    heads: dict[str, AnyHead] = Field(
        min_length=1,
        description="What is predicted, where it is not the one class in `data.label`: name → type and column.",
    )
    text: TextOptions = TextOptions()
    validation: ValidationOptions = ValidationOptions()
    schema_file: str | None = Field(None, description="A curated schema.pbtxt instead of the inferred one.")
    model: AnyModel = ModelOptions()
    train: TrainOptions = TrainOptions()
    explain: ExplainOptions = ExplainOptions()
    tune: TuneOptions | None = Field(None, description="Which training options `attention run --tune` searches.")
    evaluation: EvaluationConfig
    push: PushConfig = PushConfig()
    release: ReleaseConfig = ReleaseConfig()
    serving: ServingConfig = ServingConfig()
    beam: AnyBeam = AutoBeam()
    metadata: MetadataConfig = MetadataConfig()
    artifacts: ArtifactsConfig = ArtifactsConfig()
    schedule: ScheduleOptions = ScheduleOptions()
    kubeflow: KubeflowConfig = KubeflowConfig()
    notify: NotifyOptions = NotifyOptions()
    metrics: MetricsOptions = MetricsOptions()
    track: TrackOptions = TrackOptions()

    @model_validator(mode="before")
    @classmethod
    def _recipe(cls, raw: Any) -> Any:
        """A model is self-attention unless it says otherwise; a BERT is trained by its own recipe."""
        if not isinstance(raw, dict) or not isinstance(raw.get("model", {}), dict):
            return raw
        model = {"encoder": "self_attention", **raw.get("model", {})}
        train = raw.get("train", {})
        if model["encoder"] == "bert" and isinstance(train, dict):
            train = {**BERT_RECIPE, **train}
        return {**raw, "model": model, "train": train}

    @field_validator("beam", mode="before")
    @classmethod
    def _runner(cls, beam: Any) -> Any:
        """Without a runner the size of the input chooses."""
        return {"runner": "auto", **beam} if isinstance(beam, dict) else beam

    @field_validator("features", mode="before")
    @classmethod
    def _short_features(cls, features: Any) -> Any:
        """`age: number` is short for `age: {type: number}`; a column left out is the feature's own name."""
        return _spelt_out(features)

    @model_validator(mode="before")
    @classmethod
    def _one_label(cls, raw: Any) -> Any:
        """`data.label: COLUMN` is short for `heads: {label: {column: COLUMN}}`."""
        if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
            return raw
        data, heads = raw["data"], raw.get("heads") or {LABEL_KEY: {}}
        if not raw.get("heads") and not data.get("label"):
            return {**raw, "data": {**data, "label": ""}, "heads": {LABEL_KEY: {}}}
        if data.get("label") and isinstance(heads, dict) and isinstance(heads.get(LABEL_KEY), dict):
            heads = {**heads, LABEL_KEY: {"column": data["label"], **heads[LABEL_KEY]}}
        return {**raw, "heads": heads}

    @field_validator("heads", mode="before")
    @classmethod
    def _short_heads(cls, heads: Any) -> Any:
        """`stars: ordinal` is short for `stars: {type: ordinal}`; a column left out is the head's own name."""
        return _spelt_out(heads, {"type": "single_label"})

    @model_validator(mode="after")
    def _fits_together(self) -> "PipelineConfig":
        faults = list(self.faults())
        if self.tune is not None:
            faults += space_faults(self.model_copy(update={"tune": None}), self.tune)
            if self.train.strategy == "multi_worker":
                faults.append("`tune` and `train.strategy: multi_worker` exclude each other: one process searches.")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def faults(self) -> Iterable[str]:
        """What does not fit together, `tune` aside; of a config that was parsed, nothing."""
        for name, feature in self.features.items():
            if not re.match(FEATURE_NAME, name):
                yield (
                    f"`features.{name}` must be a lower-case identifier (letters, digits, _); put the column's own "
                    f"name under `column`. Received: {name!r}."
                )
            if name in self.heads or name == LABEL_KEY:
                yield f"`features.{name}`: this name is kept for the label; choose another."
            if feature.column in {head.column for head in self.heads.values()}:
                yield f"`features.{name}` reads the label's own column {feature.column!r}: it would give it away."
        has_old_rows = isinstance(self.data.input, dict) and "replay" in self.data.input
        if self.data.replay and self.data.window is None and not has_old_rows:
            yield "`data.replay` takes rows of the spans before `data.window`, and there is no window: set that, too."
        if has_old_rows and not self.data.replay:
            yield "`data.input.replay` holds old rows, and `data.replay` must say which share of them is trained on."
        yield from self._head_faults()
        if not any(feature.type != "passthrough" for feature in self.features.values()):
            yield "`features` holds nothing that a model could read: name a text, number or category."
        if isinstance(self.model, BertOptions):
            if not any(feature.type == "text" for feature in self.features.values()):
                yield "`model.encoder: bert` reads texts, and `features` holds none."
            if self.text != TextOptions():
                yield "`text` is of no use with `model.encoder: bert`: a preset brings its own word pieces."
        elif self.model.hidden_dim % self.model.num_heads:
            received = f"{self.model.hidden_dim} and {self.model.num_heads}"
            yield f"`model.hidden_dim` must be a multiple of `model.num_heads`. Received: {received}."
        if isinstance(self.model, ModelOptions):  # how many a BERT has is known once its preset is read
            try:
                self.explain.places(self.model.num_layers)
            except ValueError as error:
                yield str(error)
        if isinstance(self.model, BertOptions) and self.model.gradual_unfreezing and self.model.lora_rank:
            yield "`model.gradual_unfreezing` and `model.lora_rank` exclude each other: LoRA leaves the layers frozen."
        if self.train.strategy != "none" and self.train.gradient_accumulation_steps > 1:
            yield (
                "`train.gradient_accumulation_steps` and `train.strategy` exclude each other: Keras adds up on one "
                "device alone; spread a large `train.batch_size` over more devices."
            )
        if self.train.strategy != "none" and self.train.jit_compile:
            yield "`train.jit_compile` and `train.strategy` exclude each other: XLA compiles for one device."
        yield from self._release_faults()
        for each in [*self.evaluation.slices, *(self.evaluation.fairness.columns or [])]:
            for name in [each] if isinstance(each, str) else each:
                if name not in self.features and name not in self.heads:
                    yield f"`evaluation`: a slice or column of its gates is not there. Received: {name!r}."
        for name, gate in self.evaluation.gates.items():
            if gate.slices is not None and not self.evaluation.slices:
                yield f"`evaluation.gates.{name}.slices` has nothing to judge: name features in `evaluation.slices`."

    def _head_faults(self) -> Iterable[str]:
        heads = self.heads
        if self.data.label and {name: head.column for name, head in heads.items()} != {LABEL_KEY: self.data.label}:
            yield "`data.label` and `heads` exclude each other: give the label's column under `heads`, too."
        for name, head in heads.items():
            if not re.match(FEATURE_NAME, name):
                yield f"`heads.{name}` must be a lower-case identifier (letters, digits, _). Received: {name!r}."
            if head.type == "ordinal" and (len(head.levels) == 1 or len(set(head.levels)) < len(head.levels)):
                yield f"`heads.{name}.levels` must be several, each once. Received: {list(head.levels)}."
        single = [name for name, head in heads.items() if isinstance(head, SingleLabelHead)]
        multi = [name for name, head in heads.items() if isinstance(head, MultiLabelHead)]
        alike = [name for name in single if getattr(heads[name], "similarity", "none") != "none"]
        if len(alike) > 1:
            yield f"`heads`: one head may learn `similarity`, for a row has one embedding. Received: {alike}."
        if alike and self.train.batch_size < 2:
            yield f"`heads.{alike[0]}.similarity` compares rows of a batch, and `train.batch_size` is 1."
        if alike and self.train.strategy != "none":
            yield (
                f"`heads.{alike[0]}.similarity` and `train.strategy` exclude each other: the rows of a batch are "
                "compared on one device."
            )
        if self.train.class_weights != "none" and not single:
            yield "`train.class_weights` is for heads of `type: single_label`, and there is none."
        if self.train.loss == "focal" and not single and not multi:
            yield "`train.loss: focal` is for heads of `type: single_label` and `multi_label`, and there is none."
        if self.push.label == "canary" and all(head.type == "regression" for head in heads.values()):
            yield "`push.label: canary` compares the labels of two versions, and `heads` predict numbers alone."

    def _release_faults(self) -> Iterable[str]:
        release = self.release
        for target in release.servers:
            host, _, port = target.rpartition(":")
            if not host or not port.isdecimal():
                yield f"`release.servers` takes HOST:PORT. Received: {target!r}."
        if release.min_requests > release.max_requests:
            yield (
                f"`release.min_requests` must not be above `release.max_requests`. "
                f"Received: {release.min_requests} and {release.max_requests}."
            )
        if (release.certificate_file is None) != (release.key_file is None):
            yield "`release.certificate_file` and `release.key_file` go together."

    def model_spec(self, preset_digest: str = "") -> ModelSpec:
        """The part that the Trainer gets."""
        return self.preprocessing_spec(preset_digest).model_copy(
            update={"heads": self.heads, "model": self.model, "train": self.train, "explain": self.explain}
        )

    def preprocessing_spec(self, preset_digest: str = "") -> ModelSpec:
        """The part that Transform gets: without network, training and `explain`, whose changes leave its work valid."""
        bert = BertOptions(preset=self.model.preset) if isinstance(self.model, BertOptions) else None
        return ModelSpec(
            name=self.name,
            features=self.features,
            heads={name: head.as_read for name, head in self.heads.items()},
            text=self.text,
            model=bert or ModelOptions(),
            preset_digest=preset_digest,
        )

    def example_gen_options(self, quarantine_dir: str) -> ExampleGenOptions:
        """The part that ExampleGen gets."""
        data = self.data.model_dump(exclude={"input", "label", "window", "max_bad_ratio"})
        columns = [
            {"name": name, "column": feature.column, "type": feature.type, "required": feature.required}
            for name, feature in self.features.items()
        ]
        labels = [
            {
                "name": name,
                "column": head.column,
                "type": LABEL_TYPES[head.type],
                **head.model_dump(include={"separator"}),
            }
            for name, head in self.heads.items()
        ]
        return ExampleGenOptions.model_validate(
            {"columns": columns, "labels": labels, "quarantine_dir": quarantine_dir, **data}
        )

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _spelt_out(entries: Any, defaults: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Gives each entry that is only a type its mapping, and each without a column its own name for one."""
    if not isinstance(entries, dict):
        return entries
    full = {}
    for name, entry in entries.items():
        entry = {"type": entry} if isinstance(entry, str) else entry
        full[name] = {**defaults, "column": str(name), **entry} if isinstance(entry, dict) else entry
    return full


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys in silence; here the second one is a fault."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ConfigError(f"{key_node.start_mark}: the key {key!r} stands here a second time.")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads the mapping in a config file.

    Raises:
        ConfigError: no such file, not YAML, not a mapping, or one key twice.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except FileNotFoundError:
        raise ConfigError(
            f"There is no config file {path}. `attention init TABLE --label COLUMN` writes one; presets are "
            f"{', '.join(presets.names())}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold a mapping of settings. Received: {type(raw).__name__}.")
    return raw


def override(raw: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Applies `--set train.epochs=2` settings to a raw config.

    Args:
        raw: as read from YAML; left as it is.
        settings: `dotted.path=value`, the value read as YAML.

    Raises:
        ConfigError: no `=`, or a path through something that is not a mapping.
    """
    result = json.loads(json.dumps(raw, default=str))
    for setting in settings:
        path, equals, value = setting.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"--set takes dotted.path=value. Received: {setting!r}.")
        place = result
        for key in keys[:-1]:
            if isinstance(place.get(key), str) and place is result.get("features"):
                place[key] = {"type": place[key]}
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {setting}: `{key}` holds a value, not a group of settings.")
        try:
            place[keys[-1]] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--set {setting}: the value is not valid YAML.") from None
    return result


def parse(raw: dict[str, Any], source: str = "the config", settings: Sequence[str] = ()) -> PipelineConfig:
    """Overrides and validates a raw config.

    Raises:
        ConfigError: one line for every fault.
    """
    if settings:  # without their values, which may be secrets
        source += f" with --set {', '.join(setting.partition('=')[0] for setting in settings)}"
    try:
        return PipelineConfig.model_validate(override(raw, settings))
    except ValidationError as error:
        lines = [line for fault in error.errors() for line in describe(fault, _settings)]
        title = f"{source} has {len(lines)} fault{'s' if len(lines) > 1 else ''}:"
        raise ConfigError("\n".join([title, *(f"  {line}" for line in lines)])) from None


def load(path: Path, settings: Sequence[str] = ()) -> PipelineConfig:
    """Reads, overrides and validates a config file."""
    return parse(read_yaml(path), str(path), settings)


def _settings() -> Iterable[str]:
    schema = json_schema()
    return (name for group in (schema, *schema["$defs"].values()) for name in group.get("properties", ()))


def json_schema() -> dict[str, Any]:
    """JSON schema of the config file, for editors."""
    schema = PipelineConfig.model_json_schema(mode="validation")
    short = {"enum": ["text", "number", "category", "passthrough"]}
    features = schema["properties"]["features"]
    features["additionalProperties"] = {"anyOf": [features["additionalProperties"], short]}
    heads = schema["properties"]["heads"]
    heads["additionalProperties"] = {"anyOf": [heads["additionalProperties"], {"enum": list(LABEL_TYPES)}]}
    schema["required"].remove("heads")
    for name in ("model", "beam"):
        group = schema["properties"][name]
        group["anyOf"] = group.pop("oneOf")  # without its `encoder` or `runner` it may be any of them
    return schema
