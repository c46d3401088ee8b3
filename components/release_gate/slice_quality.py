"""Limits of metrics that each slice of the test split must keep, beyond what chance does to so few rows."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from components.gates import Gate
from components.release_gate.options import SliceLimits
from components.release_gate.resampling import Noise

SHOWN_SLICES = 3
Metrics = Mapping[str, float]


class Judged(NamedTuple):
    """A slice under one limit."""

    name: str
    value: float
    margin: float
    beyond_doubt: bool
    told: str


def slice_gates(
    ours: Mapping[str, Metrics],
    theirs: Mapping[str, Metrics],
    values: Mapping[str, Mapping[str, Noise]],
    changes: Mapping[str, Mapping[str, Noise]],
    limits: Mapping[str, SliceLimits],
    baseline: str | None,
) -> list[Gate]:
    """Makes the gates `metric/<name>/slices` and `metric/<name>/slices/vs_live`; the worst slice counts.

    A slice that is beyond its limit by no more than noise warns and does not block.

    Args:
        ours: slice → the candidate's metrics; all rows are `""`.
        theirs: the same of the live version.
        values: slice → metric → what chance does to its value.
        changes: the same of its change against the live version.
        limits: metric → what it may be.
        baseline: what the live version is called; None: nothing is live, and changes are not judged.
    """
    gates = []
    for metric, limit in limits.items():
        rows = {name: _rows(metrics) for name, metrics in ours.items() if name}
        large = [name for name, number in rows.items() if number >= limit.min_rows]
        few = f"No slice has {limit.min_rows} rows, so none is judged by itself."
        for bound, at_least in ((limit.min, True), (limit.max, False)):
            if bound is not None:
                judged = [_judge(name, rows[name], ours[name].get(metric), values.get(name, {}).get(metric), bound,
                                 at_least, ".4f") for name in large]  # fmt: skip
                gates.append(_gate(f"metric/{metric}/slices", metric, judged, bound, at_least, few, limit))
        bound, at_least = (-limit.max_drop, True) if limit.max_drop is not None else (limit.max_rise, False)
        if bound is not None and baseline:
            judged = []
            for name in large:
                pair = ours[name].get(metric), theirs.get(name, {}).get(metric)
                change = None if pair[0] is None or pair[1] is None else pair[0] - pair[1]
                noise = changes.get(name, {}).get(metric)
                judged.append(_judge(name, rows[name], change, noise, bound, at_least, "+.4f"))
            what = f"The change of {metric} against {baseline}"
            gates.append(_gate(f"metric/{metric}/slices/vs_live", what, judged, bound, at_least, few, limit))
    return gates


def _rows(metrics: Metrics) -> float:
    return max((value for key, value in metrics.items() if key.rpartition("/")[2] == "example_count"), default=0.0)


def _judge(
    name: str, rows: float, value: float | None, noise: Noise | None, bound: float, at_least: bool, form: str
) -> Judged:
    if value is None:
        return Judged(name, float("nan"), float("-inf"), True, f"{name}: not measured ({rows:,.0f} rows)")
    margin = value - bound if at_least else bound - value
    told = f"{name}: {value:{form}} ({rows:,.0f} rows)"
    if noise is None:
        return Judged(name, value, margin, margin < 0, told)
    low, high = noise.around(value)
    told += f", of chance {noise.confidence:.0%} lies between {low:{form}} and {high:{form}}"
    return Judged(name, value, margin, (high < bound) if at_least else (low > bound), told)


def _gate(
    name: str, what: str, judged: list[Judged], bound: float, at_least: bool, few: str, limit: SliceLimits
) -> Gate:
    if not judged:
        return Gate(name, True, None, bound, few, limit.severity)
    worst = sorted(judged, key=lambda each: (not each.beyond_doubt, each.margin))
    failed = [each for each in worst if not each.margin >= 0]
    asked = f"{'at least' if at_least else 'at most'} {bound:.4f} is asked for"
    why = f"{what} on the worst of {len(judged)} slices, {worst[0].told}; {asked}."
    sure = any(each.beyond_doubt for each in failed)
    if failed and not sure:
        why += " It may be chance."
    value = worst[0].value
    return Gate(
        name,
        not failed,
        None if math.isnan(value) else value,
        bound,
        why,
        limit.severity if sure or not failed else "warn",
        [each.told for each in failed[:SHOWN_SLICES]],
    )
