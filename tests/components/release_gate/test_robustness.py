"""Harmless changes of texts, and other rows in a batch, to a predictor that minds them."""

import re

import pytest

from components.release_gate.options import RobustnessGates
from components.release_gate.robustness import invariance_gates, robustness_gates
from tests.components.release_gate.by_hand import Predictor, model_of, sample_of

LONG = " ".join(["pleasant"] * 60)
ROWS = 10


@pytest.mark.parametrize(
    ("change", "minded", "seen"),
    [
        ("typos", LONG, LONG),
        ("case", "a good one", "good"),
        ("punctuation", "love it!", "!"),
        ("word_drop", LONG, LONG),
        ("truncation", "it is very good", "very"),
        ("synonyms", "a good one", "good"),
    ],
)
def test_a_change_that_costs_more_than_its_limit_fails_with_rows(tmp_path, change, minded, seen):
    model = model_of(Predictor(lambda text: 0.9 if seen in text else 0.1), tmp_path)
    for number, passed in ((2, True), (3, False)):
        texts = [minded] * number + ["so it goes"] * (ROWS - number)
        sample = sample_of(texts, [b"yes"] * number + [b"no"] * (ROWS - number))
        gates = {gate.name: gate for gate in robustness_gates(model, sample, RobustnessGates(), [("good", "nice")])}
        assert set(gates) == {
            f"robustness/{name}" for name in ("typos", "case", "punctuation", "word_drop", "truncation", "synonyms")
        }
        gate = gates[f"robustness/{change}"]
        assert (gate.passed, gate.severity) == (passed, "warn")
        assert gate.value == pytest.approx(1 - number / ROWS)
        assert f"accuracy goes from 1 to {1 - number / ROWS:.4g} on 10 rows" in gate.why
        assert len(gate.rows) == 2
        assert all(re.match(rf"'{re.escape(minded[:20])}.* → '", row) for row in gate.rows)


def test_of_a_number_the_error_may_not_grow(tmp_path):
    texts, labels = ["good"] * 4, [1.0] * 4
    for shift, passed in ((0.125, True), (0.126, False)):
        model = model_of(Predictor(lambda text, off=shift: 0.5 if "good" in text else 0.5 - off, number=True), tmp_path)
        gates = robustness_gates(model, sample_of(texts, labels), RobustnessGates())
        (gate,) = [gate for gate in gates if gate.name == "robustness/case"]
        assert gate.passed == passed
        assert gate.value == pytest.approx(0.5 / (0.5 + shift))


def in_turn(texts, place):
    return float(place == 0)


def beside_a_long_one(texts, place):
    return float(max(map(len, texts)) > 1000)


@pytest.mark.parametrize(
    ("gate", "beside", "others"), [("batch_order", in_turn, True), ("padding", beside_a_long_one, False)]
)
def test_other_rows_of_a_batch_may_not_count(tmp_path, gate, beside, others):
    for off, passed in ((0.9e-4, True), (1.1e-4, False)):
        predictor = Predictor(lambda text: 0.5, beside=lambda texts, place, off=off: off * beside(texts, place))
        sample = sample_of([f"row {row}" for row in range(5)])
        gates = {each.name: each for each in invariance_gates(model_of(predictor, tmp_path), sample, RobustnessGates())}
        own = gates.pop(f"invariance/{gate}")
        assert (own.passed, own.blocks) == (passed, not passed)
        assert own.value == pytest.approx(off)
        (other,) = gates.values()
        assert other.passed == (passed or not others)
