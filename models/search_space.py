"""The `tune` group of a config: which training options are searched, how, and for how long.

Like `models.spec` it travels as JSON (`custom_config` of the Tuner), so nothing here imports TensorFlow.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from models.spec import AnyHead, ModelSpec, Options

TUNE_KEY = "tune"
"""Key of the JSON text of `TuneOptions` in the `custom_config` of the Tuner."""

SEARCH_KEY = "search"
"""Key in the Tuner's best hyperparameters: how they were found, beside KerasTuner's own `space` and `values`."""

GROUPS = ("train", "model")
"""Groups of a config whose options can be searched."""

Value = bool | int | float | str


class NumberRange(Options):
    min: float = Field(allow_inf_nan=False)
    max: float = Field(allow_inf_nan=False)
    step: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Between two values; on a log scale the factor between them."
    )
    scale: Literal["linear", "log"] = Field("linear", description="log: 1 to 10 is as far as 10 to 100.")

    @model_validator(mode="after")
    def _has_an_extent(self) -> "NumberRange":
        if self.max <= self.min:
            raise ValueError(f"`max` must be above `min`. Received: min={self.min:g}, max={self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"`scale: log` needs a `min` above 0. Received: min={self.min:g}")
        if self.scale == "log" and self.step is not None and self.step <= 1:
            raise ValueError(f"`step` on a log scale is a factor above 1. Received: step={self.step:g}")
        return self


def _kind(dimension: Any) -> str:
    return "choices" if isinstance(dimension, list | tuple) else "range"


Dimension = Annotated[
    Annotated[NumberRange, Tag("range")] | Annotated[list[Value], Field(min_length=1), Tag("choices")],
    Discriminator(_kind),
]


class TuneOptions(Options):
    """A search for better values of training options; `attention run --tune` makes it."""

    space: dict[str, Dimension] = Field(
        min_length=1,
        description="Dotted path of an option of `train` or `model` → a list of choices, or min, max, step, scale.",
    )
    strategy: Literal["random", "bayesian", "hyperband"] = Field(
        "bayesian", description="hyperband: many short trainings, of which the better ones are made longer."
    )
    trials: int = Field(20, ge=1, description="Most trials; each is a training.")
    minutes: float | None = Field(
        None, gt=0, description="No new trial begins after so many minutes of trials, in however many runs."
    )
    objective: str = Field(
        "", description="Metric on the eval split; default: accuracy where there is one, else loss, as for epochs."
    )
    seed: int = Field(0, ge=0, description="Another one is another search.")

    @field_validator("space", mode="before")
    @classmethod
    def _flat(cls, space: Any) -> Any:
        """`train: {epochs: [1, 2]}`, which `--set tune.space.train.epochs=[1,2]` gives, is `train.epochs: [1, 2]`."""
        if not isinstance(space, dict):
            return space
        nested = {group: each for group, each in space.items() if isinstance(each, dict) and "." not in str(group)}
        inner = {f"{group}.{name}": each for group, options in nested.items() for name, each in options.items()}
        flat = {path: each for path, each in space.items() if path not in nested}
        for path, each in inner.items():  # of a range one part may be set anew
            before = flat.get(path)
            flat[path] = {**before, **each} if isinstance(before, dict) and isinstance(each, dict) else each
        return flat


class Tunable(Protocol):
    """A config or a `ModelSpec`."""

    @property
    def model(self) -> Any: ...
    @property
    def train(self) -> Any: ...
    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Any: ...


AnyTunable = TypeVar("AnyTunable", bound=Tunable)


def with_values(spec: AnyTunable, values: Mapping[str, Any]) -> AnyTunable:
    """Gives options other values.

    Args:
        spec: left as it is.
        values: dotted path → value.

    Raises:
        ValidationError: an option does not take its value.
    """
    changed = {}
    for group in GROUPS:
        own = {path.partition(".")[2]: value for path, value in values.items() if path.startswith(f"{group}.")}
        if own:
            options = getattr(spec, group)
            changed[group] = type(options).model_validate({**options.model_dump(), **own})
    return spec.model_copy(update=changed)


def value_at(spec: Tunable, path: str) -> Any:
    """The value of the option that a dotted path names."""
    group, _, name = path.partition(".")
    return getattr(getattr(spec, group), name)


def tuned_values(hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options among the values that a search found; KerasTuner has some of its own beside them.

    Args:
        hyperparameters: a `HyperParameters` config; None where nothing was searched.
    """
    values = (hyperparameters or {}).get("values", {})
    return {path: value for path, value in values.items() if path.partition(".")[0] in GROUPS}


def shown(values: Mapping[str, Any]) -> str:
    """`learning_rate 0.0021, hidden_dim 64`."""
    return ", ".join(
        f"{path.partition('.')[2]} {f'{value:.4g}' if isinstance(value, float) else value}"
        for path, value in values.items()
    )


METRICS: dict[str, dict[str, Literal["min", "max"]]] = {
    "single_label": {"accuracy": "max"},
    "multi_label": {"binary_accuracy": "max"},
    "ordinal": {"accuracy": "max", "levels_off": "min"},
    "regression": {"absolute_error": "min"},
}
"""Type of a head → the metrics of its training curve, and which end of them is the better one."""


def objectives(heads: Mapping[str, AnyHead]) -> dict[str, Literal["min", "max"]]:
    """Metrics of an epoch on the eval split, the one that chooses the best epoch first.

    Args:
        heads: of a config. With several of them the names of metrics begin with the head's.

    Returns:
        name → which end is the better one.
    """
    several = len(heads) > 1
    found: dict[str, Literal["min", "max"]] = {}
    for name, head in heads.items():
        for metric, end in METRICS[head.type].items():
            found[f"{name}_{metric}" if several else metric] = end
    return {**found, "loss": "min"} if "accuracy" in found else {"loss": "min", **found}


def objective_of(tune: TuneOptions, spec: ModelSpec) -> tuple[str, Literal["min", "max"]]:
    """The metric that is searched by, and which end of it is the better one."""
    known = objectives(spec.heads)
    name = tune.objective or next(iter(known))
    return name, known[name]
