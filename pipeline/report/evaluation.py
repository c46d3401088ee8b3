"""Reads the Evaluator's output: metrics against the live version's, confusions, calibration, slices."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.gates import Gate
from models.spec import LABEL_KEY, AnyHead
from pipeline.config_groups import MetricGate
from pipeline.report.facts import CalibrationBin, HeadFact, MetricFact, SliceFact

BY_CLASS = ("precision", "recall", "f1", "support")
Value = float | list[Any]


@dataclass(frozen=True)
class Measured:
    """One slice: metric → value, of the model and of the one it was compared with."""

    name: str
    candidate: dict[str, Value]
    baseline: dict[str, Value]


def read_evaluation(uri: str) -> list[Measured]:
    """Reads all slices, that of all rows (`""`) first.

    Args:
        uri: of the Evaluator's `evaluation`.
    """
    from tensorflow_model_analysis.api import model_eval_lib
    from tensorflow_model_analysis.constants import BASELINE_KEY
    from tensorflow_model_analysis.slicer import slicer_lib

    found = []
    for of_slice in model_eval_lib.load_metrics(uri):
        if of_slice.HasField("cross_slice_key"):
            continue
        key = slicer_lib.deserialize_slice_key(of_slice.slice_key)
        name = ",".join(f"{column}={_text(value)}" for column, value in key)
        values: dict[str, dict[str, Value]] = {"": {}, BASELINE_KEY: {}}
        for each in of_slice.metric_keys_and_values:
            value = _value(each.value)
            if value is not None and not each.key.is_diff:
                whose = BASELINE_KEY if each.key.model_name == BASELINE_KEY else ""
                values[whose][each.key.name] = value
        found.append(Measured(name, values[""], values[BASELINE_KEY]))
    return sorted(found, key=lambda each: each.name)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _value(value: Any) -> Value | None:
    kind = value.WhichOneof("type")
    if kind == "double_value":
        return value.double_value.value if math.isfinite(value.double_value.value) else None
    if kind != "array_value":
        return None
    array = value.array_value
    numbers = array.float64_values or array.float32_values or array.int64_values or array.int32_values
    return list(numbers) or [_text(each) for each in array.bytes_values]


def metric_facts(
    overall: Measured,
    gates: Mapping[str, MetricGate],
    verdicts: list[Gate],
    with_live: bool,
    noise: Mapping[str, Mapping[str, float]],
) -> list[MetricFact]:
    """All scalar metrics over all rows: those with limits first, those of single classes without limits left out.

    Args:
        overall: the slice of all rows.
        gates: the config's limits.
        verdicts: of the ReleaseGate.
        with_live: whether what was compared with was a live version, and not the model itself.
        noise: metric → `low` and `high`, what chance does to its change.
    """
    facts = []
    for name, value in overall.candidate.items():
        limits = gates[name].model_dump(exclude_none=True, exclude={"severity", "slices"}) if name in gates else {}
        if isinstance(value, list) or (not limits and _of_class(name)):
            continue
        baseline = overall.baseline.get(name) if with_live else None
        live = baseline if isinstance(baseline, float) else None
        change = value - live if name in noise and live is not None and value is not None else None
        own = [gate.passed for gate in verdicts if gate.name in (f"metric/{name}", f"metric/{name}/vs_live")]
        facts.append(
            MetricFact(
                name=name,
                value=value,
                live=live,
                change_low=None if change is None else change - noise[name]["low"],
                change_high=None if change is None else change + noise[name]["high"],
                limits=limits,
                passed=all(own) if limits and own else None,
            )
        )
    return sorted(facts, key=lambda fact: (not fact.limits, "/" in fact.name, fact.name))


def head_facts(overall: Measured, heads: Mapping[str, AnyHead]) -> list[HeadFact]:
    """What is measured of each head beside single numbers."""
    return [_head_fact(name, head.type, dict(_of_head(overall.candidate, name, heads))) for name, head in heads.items()]


def _of_head(values: Mapping[str, Value], head: str, heads: Mapping[str, AnyHead]) -> Iterator[tuple[str, Value]]:
    """The values of one head, without its name."""
    for name, value in values.items():
        owner, slash, rest = name.partition("/")
        if head == LABEL_KEY and not (slash and owner in heads):
            yield name, value
        elif head != LABEL_KEY and owner == head:
            yield rest, value


def _of_class(name: str) -> bool:
    return any(f"/{part}/" in f"/{name}" for part in BY_CLASS)


def _head_fact(name: str, head_type: str, values: dict[str, Value]) -> HeadFact:
    by_class: dict[str, dict[str, float]] = {}
    for metric, value in values.items():
        part, slash, class_name = metric.partition("/")
        if slash and part in BY_CLASS and isinstance(value, float):
            by_class.setdefault(class_name, {})[part] = value
    classes = _listed(values, "classes")
    cells = [int(each) for each in _listed(values, "confusion_matrix")] if classes else []
    bins = _listed(values, "calibration")
    third = len(bins) // 3
    return HeadFact(
        name=name,
        type=head_type,
        classes=classes,
        confusion=[cells[start : start + len(classes)] for start in range(0, len(cells), max(len(classes), 1))],
        calibration=[
            CalibrationBin(rows=int(rows), probability=probability, accuracy=accuracy)
            for rows, probability, accuracy in zip(
                bins[:third], bins[third : 2 * third], bins[2 * third :], strict=True
            )
            if rows
        ],
        by_class=by_class,
    )


def _listed(values: Mapping[str, Value], name: str) -> list[Any]:
    value = values.get(name)
    return value if isinstance(value, list) else []


def slice_facts(slices: list[Measured]) -> list[SliceFact]:
    """All slices but that of all rows, those of the most rows first."""
    facts = [
        SliceFact(
            name=each.name,
            metrics={
                name: value
                for name, value in sorted(each.candidate.items())
                if isinstance(value, float) and not _of_class(name)
            },
        )
        for each in slices
        if each.name
    ]
    return sorted(facts, key=lambda fact: -max((fact.metrics[name] for name in _counts(fact)), default=0.0))


def _counts(fact: SliceFact) -> list[str]:
    return [name for name in fact.metrics if name.rpartition("/")[2] == "example_count"]
