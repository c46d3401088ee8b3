"""Rows, classes, skew and drift of columns, just within their limits and just beyond."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl

from components.data_gate import rows
from components.data_gate.distances import drift_gates, skew_gates
from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import make_schema

ROWS = 400
FEATURES = {
    "shop": {"type": "category", "required": False},
    "age": {"type": "number", "required": False},
}
LABELS = {"label": "category"}


def column(values):
    return pa.array([[value] for value in values])


def statistics_of(label=0, shop=0, age=0, number=ROWS):
    """Statistics of rows, of which the first few have another label, shop or age."""
    values = {
        "label": ["no"] * label + ["yes"] * (number - label),
        "shop": ["north"] * shop + ["south"] * (number - shop),
        "age": [60.0] * age + [20.0] * (number - age),
    }
    batch = pa.RecordBatch.from_arrays([column(each) for each in values.values()], names=list(values))
    return stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())


@pytest.fixture(scope="module")
def schema():
    return make_schema(statistics_of(label=200, shop=200, age=200), FEATURES, LABELS, ValidationOptions())


def divergence(share):
    """Jensen-Shannon divergence, in bits, of rows all in one place from rows of which a share is in another."""
    entropies = [-sum(part * np.log2(part) for part in (1 - each, each)) for each in (share / 2, share)]
    return entropies[0] - entropies[1] / 2


# Limits: 0.1 for labels and 0.2 for categories, and 0.05 for noise in 400 values; 0.2 and 0.05 for numbers.
PLANTED = [
    ("label", {"label": 60}, {"label": 61}, 61 / ROWS, 0.15),
    ("shop", {"shop": 100}, {"shop": 101}, 101 / ROWS, 0.25),
    ("age", {"age": 167}, {"age": 168}, divergence(168 / ROWS), 0.25),
]


@pytest.mark.parametrize(("name", "within", "beyond", "value", "limit"), PLANTED)
def test_a_column_that_moved_is_named(schema, name, within, beyond, value, limit):
    plain, options = statistics_of(), ValidationOptions()
    for planted, passed in ((within, True), (beyond, False)):
        moved = statistics_of(**planted)
        drift = {gate.name: gate for gate in drift_gates(moved, plain, 3, schema, options)}
        skew = {gate.name: gate for gate in skew_gates(plain, {"eval": plain, "test": moved}, schema, options)}
        for kind, gates in (("drift", drift), ("skew", skew)):
            failed = {each for each, gate in gates.items() if not gate.passed}
            assert failed == (set() if passed else {f"{kind}/{name}"})
    for gate, where in ((drift[f"drift/{name}"], "live version 3"), (skew[f"skew/{name}"], "between train and test")):
        assert gate.blocks
        assert gate.value == pytest.approx(value, abs=1e-3)
        assert gate.limit == pytest.approx(limit)
        assert where in gate.why


def test_one_row_that_is_not_as_all_others_is_no_drift(schema):
    for here, there in ((0, 1), (1, 0)):
        gates = drift_gates(statistics_of(age=here), statistics_of(age=there), 3, schema, ValidationOptions())
        (gate,) = [gate for gate in gates if gate.name == "drift/age"]
        assert gate.value == pytest.approx(divergence(1 / ROWS), abs=1e-4)
    gates = drift_gates(statistics_of(age=ROWS), statistics_of(), 3, schema, ValidationOptions())
    assert [gate.value for gate in gates if not gate.passed] == [1.0]


def drift_of_ages(here, there):
    """The value of the gate `drift/age` of ages against a live version's."""
    statistics = []
    for ages in (here, there):
        batch = pa.RecordBatch.from_arrays([column(map(float, ages))], names=["age"])
        statistics.append(stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions()))
    schema = make_schema(statistics[0], {"age": FEATURES["age"]}, {}, ValidationOptions())
    (gate,) = drift_gates(*statistics, 3, schema, ValidationOptions())
    return gate.value


def test_a_row_that_is_far_from_all_others_is_no_drift():
    ages = list(range(100)) * 4
    far = [*ages[:-1], 10_000]
    assert drift_of_ages(ages, far) == pytest.approx(drift_of_ages(far, ages))
    assert drift_of_ages(ages, far) < 0.01


def test_numbers_are_compared_by_how_many_lie_where():
    even, half = np.arange(400), np.arange(400) / 2
    # Of half-open bins the lower ones hold a share p of one side and 2p of the other, the upper ones p and nothing.
    lower, upper = 0.5 + 1, 0.5
    middle = -sum(share / 2 * np.log2(share / 2) for share in (lower, upper))
    of_halves = middle - (1 + 0) / 2
    assert drift_of_ages(even, half) == pytest.approx(of_halves, abs=0.02)
    assert drift_of_ages(even * 1e6, half * 1e6) == pytest.approx(drift_of_ages(even, half), abs=1e-3)
    assert drift_of_ages(even, [200] * 400) > 0.7
    assert drift_of_ages(even, even + 1000) > 0.85  # 1 but that the tails of both share a bin
    assert drift_of_ages([20] * 400, [60] * 400) == 1


def test_rows_enough_of_each_split_and_class(schema):
    found = {"train": statistics_of(label=7), "eval": statistics_of(number=30), "test": statistics_of(number=29)}
    options = ValidationOptions(min_rows=30, min_rows_per_class=7)
    gates = {gate.name: gate for gate in rows.gates(found, schema, LABELS, options)}
    assert {name for name, gate in gates.items() if gate.blocks} == {"rows/test"}
    assert gates["rows/classes"].value == 2
    options = ValidationOptions(min_rows_per_class=8)
    (gate,) = [gate for gate in rows.gates(found, schema, LABELS, options) if gate.blocks]
    assert gate.why == "The rarest class in train is 'no' with 7 rows; each needs at least 8."
    one_class = {"train": statistics_of(label=0)}
    blocked = [gate.name for gate in rows.gates(one_class, schema, LABELS, ValidationOptions()) if gate.blocks]
    assert blocked == ["rows/classes", "rows/smallest_class"]


@pytest.mark.parametrize(("bad", "passed"), [(10, True), (11, False)])
def test_rows_in_quarantine_are_named(bad, passed):
    counted = {"rows_read": 1000, "rows_quarantined": bad, "quarantined_by_reason": {"no label": bad}}
    counted["first_quarantined"] = ["a.csv:7: it has no label"]
    (gate,) = rows.bad_ratio_gates(counted, 0.01, "block")
    assert (gate.passed, gate.blocks) == (passed, not passed)
    assert f"{bad} of 1,000 rows ({bad / 1000:.2%}) cannot be used" in gate.why
    assert "First: a.csv:7: it has no label." in gate.why
