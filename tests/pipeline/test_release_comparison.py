"""Limits of the config against what was measured, and what the config refuses."""

import pytest

from deploy.serving.mirror import Comparison
from pipeline import presets
from pipeline.config import ConfigError, load
from pipeline.config_groups import ReleaseConfig
from pipeline.release_comparison import judge


def blocking(options=None, **measured):
    found = Comparison(
        **{"requests": 100, "rows": 100, "stable_ms": [10.0] * 100, "canary_ms": [10.0] * 100, **measured}
    )
    return [(gate.name, gate.value, gate.limit) for gate in judge(found, options or ReleaseConfig()) if gate.blocks]


@pytest.mark.parametrize(
    ("measured", "gates"),
    [
        ({}, []),
        ({"canary_errors": 1}, [("error_rate", 0.01, 0.0)]),
        ({"flips": 10}, []),
        ({"flips": 11}, [("flip_rate", 0.11, 0.1)]),
        ({"canary_ms": [20.0] * 100}, []),
        ({"canary_ms": [21.0] * 100}, [("latency", 21.0, 20.0)]),
        ({"canary_ms": [10.0] * 96 + [99.0] * 4}, []),
        ({"requests": 19}, [("requests", 19, 20)]),
        ({"requests": 0, "rows": 0, "stable_ms": [], "canary_ms": []}, [("requests", 0, 20)]),
        ({"rows": 0}, [("flip_rate", None, 0.1)]),
        ({"requests": 1, "rows": 0, "canary_errors": 1}, [("error_rate", 1.0, 0.0)]),
    ],
)
def test_each_limit_closes_its_own_gate(measured, gates):
    assert blocking(**measured) == gates


def test_a_fast_model_may_be_slower_by_the_slack():
    fast = {"stable_ms": [1.0] * 100, "canary_ms": [9.0] * 100}
    assert blocking(**fast) == []
    strict = ReleaseConfig.model_validate({"limits": {"latency_slack_ms": 0}})
    assert blocking(strict, **fast) == [("latency", 9.0, 2.0)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("release.servers=[localhost]", "`release.servers` takes HOST:PORT. Received: 'localhost'."),
        ("release.servers=[]", "`release.servers`: List should have at least 1 item"),
        (
            "release.min_requests=300",
            "`release.min_requests` must not be above `release.max_requests`. Received: 300 and",
        ),
        ("release.key_file=key.pem", "`release.certificate_file` and `release.key_file` go together."),
        ("release.share=0", "`release.share`: Input should be greater than 0"),
        ("push.label=stable", "`push.label`: Input should be 'canary'"),
    ],
)
def test_settings_that_make_no_release_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        load(presets.path("reviews"), [setting])
