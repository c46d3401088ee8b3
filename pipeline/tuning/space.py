"""Holds the space of a search against the config that it belongs to."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from models.search_space import GROUPS, NumberRange, TuneOptions, objectives, value_at, with_values

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig

OF_TRANSFORM = "Transform depends on it, and a search tries trainings of one Transform"
NOT_SEARCHED = {
    "model.encoder": OF_TRANSFORM,
    "train.warm_start": "where a training starts is no matter of trial",
    "train.checkpoint_every_steps": "it makes no other model",
}


def space_faults(config: "PipelineConfig", tune: TuneOptions) -> Iterator[str]:
    """All that is wrong with a search, each in one sentence.

    Every choice and both ends of every range are put into the config, any two of them together.

    Args:
        config: with its own values, and without the search.
        tune: the search.
    """
    known = objectives(config.heads)
    if tune.objective and tune.objective not in known:
        yield f"`tune.objective` must be one of {', '.join(known)}. Received: {tune.objective!r}."
    candidates: dict[str, list[Any]] = {}
    for path, dimension in tune.space.items():
        fault = _fault_of(config, tune, path)
        if fault:
            yield f"`tune.space.{path}`: {fault}"
        else:
            candidates[path] = _candidates(config, path, dimension)
    clash = _clash(config, candidates) if candidates else None
    if clash:
        yield clash


def _fault_of(config: "PipelineConfig", tune: TuneOptions, path: str) -> str | None:
    group, _, name = path.partition(".")
    if group not in GROUPS:
        return f"only options of {' and '.join(f'`{each}`' for each in GROUPS)} can be searched."
    options = type(getattr(config, group)).model_fields
    if name not in options:
        return f"`{group}` has no such option; it has {', '.join(options)}."
    if path in NOT_SEARCHED:
        return f"this option cannot be searched: {NOT_SEARCHED[path]}."
    if path == "train.epochs" and tune.strategy == "hyperband":
        return "`tune.strategy: hyperband` chooses the epochs itself, up to `train.epochs`."
    dimension = tune.space[path]
    try:
        values = _candidates(config, path, dimension)
    except ValidationError as error:
        (first, *_) = error.errors()
        return f"{first['msg']}. Received: {first['input']!r}."
    if isinstance(dimension, NumberRange) and not _is_number(values[0]):
        return "a range is for numbers; give a list of choices."
    if isinstance(dimension, NumberRange) and isinstance(values[0], int) and (dimension.step or 1) % 1:
        return f"`step` must be whole, as the option is. Received: {dimension.step:g}."
    if len(set(values)) < len(values):
        return f"each choice stands there once. Received: {values}."
    before = config.preprocessing_spec()
    if any(with_values(config, {path: value}).preprocessing_spec() != before for value in values):
        return f"this option cannot be searched: {OF_TRANSFORM}."
    return None


def _candidates(config: "PipelineConfig", path: str, dimension: Any) -> list[Any]:
    """Choices, or both ends of a range and what comes after the lower one, as the option itself has them.

    Raises:
        ValidationError: the option does not take one of them.
    """
    if not isinstance(dimension, NumberRange):
        return [value_at(with_values(config, {path: value}), path) for value in dimension]
    ends = [value_at(with_values(config, {path: value}), path) for value in (dimension.min, dimension.max)]
    if not isinstance(ends[0], int):
        return ends
    step = int(dimension.step or 1)
    return [ends[0], min(ends[0] * step if dimension.scale == "log" and step > 1 else ends[0] + step, ends[1]), ends[1]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _clash(config: "PipelineConfig", candidates: Mapping[str, list[Any]]) -> str | None:
    """Why some values do not go together, or not with the rest of the config; any two of the options are varied."""
    own = set(config.faults())
    first = {path: values[0] for path, values in candidates.items()}
    for paths in combinations(candidates, min(2, len(candidates))):
        for values in product(*(candidates[path] for path in paths)):
            given = {**first, **dict(zip(paths, values, strict=True))}
            faults = [fault for fault in with_values(config, given).faults() if fault not in own]
            if faults:
                shown = ", ".join(f"{path}={value}" for path, value in given.items())
                return f"`tune.space` allows {shown}: {faults[0]}"
    return None
