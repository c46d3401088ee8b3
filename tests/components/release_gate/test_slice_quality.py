"""What each slice must keep: just within and just beyond, and what is no more than chance."""

import pytest

from components.release_gate.options import SliceLimits
from components.release_gate.resampling import Noise
from components.release_gate.slice_quality import slice_gates

ROWS = {"shop=north": 200, "shop=south": 100, "shop=west": 49}


def metrics(north, south, west=0.0):
    values = dict(zip(ROWS, (north, south, west), strict=True))
    return {"": {"accuracy": 0.9, "example_count": 349.0}} | {
        name: {"accuracy": value, "example_count": float(ROWS[name])} for name, value in values.items()
    }


def noise(spread):
    return {name: {"accuracy": Noise(spread, spread, 60, 0.95)} for name in ROWS}


def judged(ours, theirs=None, spread=None, live="version 3", **limits):
    known = {} if spread is None else noise(spread)
    return slice_gates(ours, theirs or {}, known, known, {"accuracy": SliceLimits(**limits)}, live)


@pytest.mark.parametrize(("south", "passed"), [(0.8, True), (0.7999, False)])
def test_the_worst_slice_counts_and_small_ones_do_not(south, passed):
    (gate,) = judged(metrics(0.9, south), min=0.8)
    assert gate.name == "metric/accuracy/slices"
    assert (gate.passed, gate.blocks) == (passed, not passed)
    assert (gate.value, gate.limit) == (south, 0.8)
    assert f"on the worst of 2 slices, shop=south: {south:.4f} (100 rows); at least 0.8000 is asked for" in gate.why
    assert gate.rows == ([] if passed else [f"shop=south: {south:.4f} (100 rows)"])


@pytest.mark.parametrize(("spread", "blocks"), [(0.0499, True), (0.0501, False)])
def test_what_may_be_chance_warns(spread, blocks):
    (gate,) = judged(metrics(0.9, 0.75), spread=spread, min=0.8)
    assert not gate.passed
    assert gate.blocks == blocks
    assert ("It may be chance." in gate.why) != blocks
    assert f"95% lies between {0.75 - spread:.4f} and {0.75 + spread:.4f}" in gate.why


def test_a_slice_beyond_doubt_stands_before_one_that_may_be_chance():
    known = {
        "shop=north": {"accuracy": Noise(0.01, 0.01, 60, 0.95)},
        "shop=south": {"accuracy": Noise(0.3, 0.3, 9, 0.95)},
    }
    (gate,) = slice_gates(metrics(0.78, 0.6), {}, known, {}, {"accuracy": SliceLimits(min=0.8)}, None)
    assert gate.blocks
    assert gate.value == 0.78
    assert [row.split(":")[0] for row in gate.rows] == ["shop=north", "shop=south"]


@pytest.mark.parametrize(("before", "passed"), [(0.85, True), (0.8501, False)])
def test_a_slice_may_not_fall_below_the_live_version(before, passed):
    (gate,) = judged(metrics(0.9, 0.8), metrics(0.9, before), max_drop=0.05 + 1e-9)
    assert gate.name == "metric/accuracy/slices/vs_live"
    assert gate.passed == passed
    assert gate.value == pytest.approx(0.8 - before)
    assert "against version 3 on the worst of 2 slices, shop=south: " in gate.why
    (gate,) = judged(metrics(0.8, 0.9), metrics(before - 0.1, 0.9), max_rise=0.05 + 1e-9)
    assert gate.passed == (0.8 - (before - 0.1) <= 0.05 + 1e-9)


def test_without_a_live_version_no_change_is_judged_and_without_large_slices_nothing():
    assert judged(metrics(0.9, 0.1), live=None, max_drop=0.1) == []
    (gate,) = judged(metrics(0.9, 0.1), min=0.5, min_rows=201)
    assert gate.passed
    assert gate.why == "No slice has 201 rows, so none is judged by itself."


def test_what_was_not_measured_does_not_pass():
    (gate,) = judged(metrics(0.9, 0.8), metrics(0.9, 0.8) | {"shop=south": {}}, max_drop=0.1)
    assert gate.blocks
    assert gate.value is None
    assert gate.rows == ["shop=south: not measured (100 rows)"]
