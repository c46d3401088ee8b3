"""The Evaluator's verdict as gates: every threshold with its measured value, passed ones too."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tensorflow_model_analysis.api import model_eval_lib
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util
from tensorflow_model_analysis.writers import eval_config_writer

from components.gates import EVALUATOR_GATE, Gate, Severity
from components.release_gate.resampling import Noise


def quality_gates(
    evaluation_uri: str,
    blessed: bool,
    live_version: int | None = None,
    noise: Mapping[str, Mapping[str, Noise]] = MappingProxyType({}),
    severities: Mapping[str, Severity] = MappingProxyType({}),
) -> list[Gate]:
    """Makes the gates `metric/<name>[/vs_live][/<slice>]` and `metric/blessing`.

    A threshold counts as passed if the value is within it and TFMA, too, says so. A change against the live version
    that is beyond its limit, but by no more than noise, warns and does not block. The Evaluator judges by the values
    alone, so that its verdict, `metric/blessing`, warns too if no other of these gates blocks.

    Args:
        evaluation_uri: the Evaluator's output.
        blessed: whether the Evaluator blessed the model.
        live_version: what the baseline was; 0: the model itself, for nothing is live; None: not known.
        noise: slice → metric → what chance does to its change; where it is not known, the value decides.
        severities: metric → what a limit does that is not kept; default: block.

    Returns:
        Gates of all rows first, then slice by slice.
    """
    eval_config = eval_config_writer.load_eval_run(evaluation_uri)[0]
    validation = model_eval_lib.load_validation_result(evaluation_uri)
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(eval_config.metrics_specs, eval_config=eval_config)
    baseline = model_util.get_baseline_model_spec(eval_config)
    baseline_name = baseline.name if baseline else None
    thresholds = {key: rules for key, rules in thresholds.items() if key.model_name != baseline_name}
    failed = {
        (_slice_name(slicer_lib.deserialize_slice_key(of_slice.slice_key)), MetricKey.from_proto(each.metric_key))
        for of_slice in validation.metric_validations_per_slice
        for each in of_slice.failures
    }
    baseline_words = "its own (nothing is live yet)" if live_version == 0 else f"version {live_version}'s"
    baseline_words = "the live version's" if live_version is None else baseline_words
    gates = []
    for slice_key, values in sorted(_values(evaluation_uri), key=lambda of_slice: _slice_name(of_slice[0])):
        name = _slice_name(slice_key)
        for key, rules in thresholds.items():
            for slice_spec, threshold in rules:
                if _applies(slice_spec, slice_key):
                    live = values.get(key.make_baseline_key(baseline_name)) if baseline_name else None
                    gate = _gate(key, name, threshold, values.get(key), live, baseline_words)
                    gate = dataclasses.replace(gate, passed=False) if (name, key) in failed else gate
                    gate = dataclasses.replace(gate, severity=severities.get(key.name, "block"))
                    change = isinstance(threshold, config_pb2.GenericChangeThreshold)
                    if change and live_version and key.name in noise.get(name, {}):
                        gate = _with_noise(gate, threshold, values.get(key), noise[name][key.name])
                    gates.append(gate)
    for missing in validation.missing_slices:
        wanted = [*missing.feature_keys, *(f"{key}={value}" for key, value in missing.feature_values.items())]
        why = f"No row of the test split is in the slice {','.join(wanted) or '(all rows)'}, so its limits are not met."
        gates.append(Gate("/".join(["metric", "missing_slice", *wanted]), False, None, None, why))
    if not gates:
        gates.append(Gate("metric", False, 0, 1, "No metric was measured against a threshold; at least one is needed."))
    why = f"The Evaluator {'blessed' if blessed else 'did not bless'} the model."
    passed = blessed and validation.validation_ok
    follows: Severity = "block"
    if not passed and any(not gate.passed for gate in gates) and not any(gate.blocks for gate in gates):
        why += " It judges by the values alone; what failed is no more than noise, or was told to warn only."
        follows = "warn"
    return [*gates, Gate(EVALUATOR_GATE, passed, float(blessed), 1, why, follows)]


def metrics_by_slice(evaluation_uri: str, baseline_model: bool = False) -> dict[str, dict[str, float]]:
    """The scalar metrics of each slice: `column=value,…` → metric → value; all rows are `""`.

    Args:
        evaluation_uri: the Evaluator's output.
        baseline_model: the baseline's in place of the candidate's.
    """
    eval_config = eval_config_writer.load_eval_run(evaluation_uri)[0]
    baseline = model_util.get_baseline_model_spec(eval_config)
    baseline_name = baseline.name if baseline else None
    return {
        _slice_name(slice_key): {
            key.name: value
            for key, value in values.items()
            if not key.is_diff and math.isfinite(value) and (key.model_name == baseline_name) == baseline_model
        }
        for slice_key, values in _values(evaluation_uri)
    }


def overall_metrics(evaluation_uri: str) -> dict[str, float]:
    """The candidate's scalar metrics over all rows, `in_order`.

    Args:
        evaluation_uri: the Evaluator's output.
    """
    return in_order(metrics_by_slice(evaluation_uri).get("", {}))


def in_order(metrics: Mapping[str, float]) -> dict[str, float]:
    """By name; those of single classes (`recall/<class>`) come last."""
    return dict(sorted(metrics.items(), key=lambda item: ("/" in item[0], item[0])))


def _values(evaluation_uri: str) -> Iterator[tuple[Any, dict[MetricKey, float]]]:
    """Slice by slice, its key and its scalar metrics."""
    for of_slice in model_eval_lib.load_metrics(evaluation_uri):
        if of_slice.HasField("cross_slice_key"):
            continue
        yield (
            slicer_lib.deserialize_slice_key(of_slice.slice_key),
            {
                MetricKey.from_proto(each.key): each.value.double_value.value
                for each in of_slice.metric_keys_and_values
                if each.value.WhichOneof("type") == "double_value"
            },
        )


def _with_noise(gate: Gate, threshold: Any, value: float | None, noise: Noise) -> Gate:
    """Tells the interval, and lets a change that may be chance warn only."""
    if value is None or gate.limit is None or not math.isfinite(value) or not threshold.HasField("absolute"):
        return gate
    low, high = noise.around(value)
    higher_is_better = threshold.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
    beyond_doubt = high < gate.limit if higher_is_better else low > gate.limit
    told = f" Of chance, {noise.confidence:.0%} lies between {low:+.4f} and {high:+.4f} ({noise.rows:,} paired rows)"
    if gate.passed:
        return dataclasses.replace(gate, why=f"{gate.why}{told}.")
    if beyond_doubt:
        return dataclasses.replace(gate, why=f"{gate.why}{told}, so it is none.")
    return dataclasses.replace(gate, why=f"{gate.why}{told}, so it may be chance.", severity="warn")


def _applies(slice_spec: Any, slice_key: Any) -> bool:
    if slice_spec is None:
        return True
    if not isinstance(slice_spec, config_pb2.SlicingSpec):
        return False
    return slicer_lib.SingleSliceSpec(spec=slice_spec).is_slice_applicable(slice_key)


def _slice_name(slice_key: Any) -> str:
    return ",".join(f"{column}={_text(value)}" for column, value in slice_key)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclasses.dataclass(frozen=True)
class _Limit:
    """One bound of a threshold, with the value it bounds in the bound's own unit."""

    value: float
    limit: float
    at_least: bool
    relative: bool = False

    @property
    def margin(self) -> float:
        """How far within the bound the value is; negative if it is not, or is no number."""
        margin = self.value - self.limit if self.at_least else self.limit - self.value
        return -math.inf if math.isnan(margin) else margin


def _limits(threshold: Any, value: float, live: float | None) -> Iterator[_Limit]:
    if isinstance(threshold, config_pb2.GenericValueThreshold):
        if threshold.HasField("lower_bound"):
            yield _Limit(value, threshold.lower_bound.value, at_least=True)
        if threshold.HasField("upper_bound"):
            yield _Limit(value, threshold.upper_bound.value, at_least=False)
        return
    higher_is_better = threshold.direction == config_pb2.MetricDirection.HIGHER_IS_BETTER
    if threshold.HasField("absolute"):
        yield _Limit(value, threshold.absolute.value, higher_is_better)
    if threshold.HasField("relative"):
        yield _Limit(value / live if live else math.nan, threshold.relative.value, higher_is_better, relative=True)


def _gate(
    key: MetricKey, slice_name: str, threshold: Any, value: float | None, live: float | None, baseline: str
) -> Gate:
    change = isinstance(threshold, config_pb2.GenericChangeThreshold)
    metric = f"{key.name}@{key.sub_key}" if key.sub_key else key.name
    name = "/".join(part for part in ("metric", metric, "vs_live" if change else "", slice_name) if part)
    where = f"on {slice_name}" if slice_name else "on the test split"
    limits = list(_limits(threshold, math.nan if value is None else value, live))
    if not limits:
        return Gate(name, False, value, None, f"{metric} {where} has a threshold without a bound.")
    worst = min(limits, key=lambda limit: limit.margin)
    unit = " of the baseline's value" if worst.relative else ""
    asked = f"{'at least' if worst.at_least else 'at most'} {worst.limit:.4f}{unit} is asked for"
    if value is None:
        return Gate(name, False, None, worst.limit, f"{metric} was not measured {where}; {asked}.")
    measured = f"changed by {value:+.4f}" if change else f"is {value:.4f}"
    against = f" against {baseline} {live:.4f}" if change and live is not None else ""
    return Gate(name, worst.margin >= 0, worst.value, worst.limit, f"{metric} {where} {measured}{against}; {asked}.")
