"""A config's limits of metrics, on the rows that `attention gate` asks about."""

import pytest

from components.release_gate.model_gates import Verdict
from components.release_gate.resampling import Noise
from pipeline.config_groups import MetricGate
from pipeline.gate_trial import metric_gates

NOISE = {"accuracy": Noise(0.01, 0.01, 500, 0.95), "log_loss": Noise(0.01, 0.01, 500, 0.95)}


def judged(value, limit, name="accuracy", live=0.9, compared=True):
    verdict = Verdict(by_slice={"": {name: value}}, live={"": {name: live}}, noise={"": NOISE})
    return metric_gates({name: MetricGate(**limit)}, verdict, compared)


@pytest.mark.parametrize(("limit", "passing", "failing"), [({"min": 0.8}, 0.8, 0.7999), ({"max": 0.8}, 0.8, 0.8001)])
def test_a_metric_is_held_to_its_bound(limit, passing, failing):
    (gate,) = judged(passing, limit)
    assert (gate.name, gate.passed, gate.value, gate.limit) == ("metric/accuracy", True, passing, 0.8)
    (gate,) = judged(failing, limit)
    assert gate.blocks
    assert f"accuracy is {failing:.4f}; at " in gate.why


@pytest.mark.parametrize(
    ("name", "limit", "live", "within", "chance", "beyond"),
    [
        ("accuracy", {"max_drop": 0.25}, 1.0, 0.75, 0.745, 0.735),
        ("log_loss", {"max_rise": 0.25}, 0.5, 0.75, 0.755, 0.765),
    ],
)
def test_a_change_against_the_live_version_blocks_beyond_doubt(name, limit, live, within, chance, beyond):
    for value, passed, blocks in ((within, True, False), (chance, False, False), (beyond, False, True)):
        (gate,) = judged(value, limit, name, live)
        assert (gate.name, gate.passed, gate.blocks) == (f"metric/{name}/vs_live", passed, blocks)
        assert gate.value == pytest.approx(value - live)
        assert "(500 paired rows)" in gate.why
    assert not judged(beyond, limit, name, live, compared=False), "nothing is live"


def test_what_was_not_measured_does_not_pass():
    verdict = Verdict(by_slice={"": {}})
    gates = metric_gates({"auc": MetricGate(min=0.5, max_drop=0.1)}, verdict, True)
    assert [(gate.name, gate.passed) for gate in gates] == [("metric/auc", False), ("metric/auc/vs_live", False)]
