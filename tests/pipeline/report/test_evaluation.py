"""What is read out of the Evaluator's metrics."""

import pytest

from components.gates import Gate
from models.spec import MultiLabelHead, OrdinalHead, SingleLabelHead
from pipeline.config_groups import MetricGate
from pipeline.report.evaluation import Measured, head_facts, metric_facts, slice_facts

VALUES = {
    "accuracy": 0.75,
    "example_count": 4.0,
    "recall/no": 1.0,
    "recall/a/b": 0.5,
    "support/a/b": 2.0,
    "classes": ["no", "a/b"],
    "confusion_matrix": [2.0, 0.0, 1.0, 1.0],
    "calibration": [0.0, 4.0, 0.0, 0.6, 0.0, 0.75],
    "stars/accuracy": 0.5,
    "stars/recall/5": 0.25,
}
HEADS = {"label": SingleLabelHead(), "stars": OrdinalHead(), "topics": MultiLabelHead()}


def test_each_head_gets_its_own():
    label, stars, topics = head_facts(Measured("", VALUES, {}), HEADS)
    assert label.classes == ["no", "a/b"]
    assert label.confusion == [[2, 0], [1, 1]]
    (cell,) = label.calibration
    assert (cell.rows, cell.probability, cell.accuracy) == (4, 0.6, 0.75)
    assert label.by_class == {"no": {"recall": 1.0}, "a/b": {"recall": 0.5, "support": 2.0}}
    assert stars.by_class == {"5": {"recall": 0.25}}
    assert stars.confusion == topics.confusion == []


def test_limits_come_first_and_keep_what_the_gates_said():
    gates = {"recall/a/b": MetricGate(min=0.6), "accuracy": MetricGate(min=0.5, max_drop=0.1)}
    verdicts = [
        Gate("metric/accuracy", True, 0.75, 0.5, ""),
        Gate("metric/accuracy/vs_live", False, -0.2, -0.1, ""),
        Gate("metric/accuracy/shop=a", False, 0.1, 0.5, ""),
        Gate("metric/recall/a/b", False, 0.5, 0.6, ""),
    ]
    facts = metric_facts(
        Measured("", VALUES, {"accuracy": 0.95}), gates, verdicts, True, {"accuracy": {"low": 0.1, "high": 0.2}}
    )
    assert (facts[0].change_low, facts[0].change_high) == (pytest.approx(-0.3), pytest.approx(0.0))
    assert facts[1].change_low is None
    assert [(fact.name, fact.passed) for fact in facts] == [
        ("accuracy", False), ("recall/a/b", False), ("example_count", None), ("stars/accuracy", None),
    ]  # fmt: skip
    assert facts[0].live == 0.95
    assert facts[0].limits == {"min": 0.5, "max_drop": 0.1}
    (alone, *_) = metric_facts(
        Measured("", VALUES, {"accuracy": 0.75}), gates, verdicts, False, {"accuracy": {"low": 0.1, "high": 0.2}}
    )
    assert alone.change_low is None
    assert alone.live is None, "nothing was live: the model was compared with itself"


def test_slices_of_most_rows_come_first():
    slices = [Measured("", VALUES, {})] + [
        Measured(f"shop={name}", {"example_count": rows, "accuracy": 1.0, "recall/no": 1.0}, {})
        for name, rows in (("a", 2.0), ("b", 3.0))
    ]
    first, second = slice_facts(slices)
    assert (first.name, second.name) == ("shop=b", "shop=a")
    assert first.metrics == {"accuracy": 1.0, "example_count": 3.0}
