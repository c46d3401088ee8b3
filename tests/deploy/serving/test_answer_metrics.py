import math
import re
import shutil

import numpy as np
import pytest
import requests

from deploy.serving import answer_metrics
from deploy.serving.answer_metrics import AnswerMetrics, split_label
from deploy.serving.client import PredictionClient
from deploy.serving.metric_types import page_of
from tests.deploy.serving.running_server import wait_until


def texts(*rows):
    return np.array(rows, object)


def page(metrics):
    return page_of(metrics.metrics()).splitlines()


def test_labels_confidence_and_unknown_tokens_are_counted_per_version():
    metrics = AnswerMetrics()
    scores = np.array([[0.9, 0.1], [0.32, 0.68], [math.nan, math.nan]], np.float32)
    metrics.record("m", 3, ["label", "probabilities"], [texts(b"yes", b"no", b"yes"), scores])
    metrics.record("m", 4, ["classes", "scores"], [texts([b"a", b"b"]), np.array([[0.2, 0.8]], np.float32)])
    tokens, features = texts([b"good", b"[UNK]"], [b"[UNK]", b""]), texts([b"t", b"t"], [b"t", b""])
    metrics.record("m", 3, ["tokens", "token_features"], [tokens, features])
    lines = page(metrics)
    assert ':attention:serving:label_count{model_name="m",version="3",head="label",label="yes"} 2' in lines
    assert ':attention:serving:label_count{model_name="m",version="3",head="label",label="no"} 1' in lines
    assert ':attention:serving:label_count{model_name="m",version="4",head="label",label="b"} 1' in lines
    assert ':attention:serving:confidence_bucket{model_name="m",version="3",head="label",le="0.65"} 0' in lines
    assert ':attention:serving:confidence_bucket{model_name="m",version="3",head="label",le="0.7"} 1' in lines
    assert ':attention:serving:confidence_count{model_name="m",version="3",head="label"} 2' in lines
    assert ':attention:serving:token_count{model_name="m",version="3"} 3' in lines
    assert ':attention:serving:unknown_token_count{model_name="m",version="3"} 2' in lines


def test_each_head_is_counted_by_itself():
    metrics = AnswerMetrics()
    outputs = {
        "price_value": np.array([12.5, -0.3, math.nan], np.float32),
        "stars_label": texts(b"4", b"4", b"5"),
        "stars_probabilities": np.array([[0.6, 0.4], [0.8, 0.2], [0.3, 0.7]], np.float32),
        "stars_classes": texts([b"4", b"5"], [b"4", b"5"], [b"4", b"5"]),
        "topics_label": texts(b"price, size", b"", b"size"),
        "topics_probabilities": np.array([[0.9, 0.1, 0.6], [0.2, 0.3, 0.1], [0.1, 0.4, 0.8]], np.float32),
        "topics_classes": texts(*[[b"price", b"siz", b"size"]] * 3),
    }
    metrics.record("m", 1, list(outputs), list(outputs.values()))
    lines = page(metrics)
    for head, label, count in (
        *(("stars", "4", 2), ("stars", "5", 1)),
        *(("topics", "price", 1), ("topics", "size", 2), ("topics", "(none)", 1)),
    ):
        assert (
            f':attention:serving:label_count{{model_name="m",version="1",head="{head}",label="{label}"}} {count}'
            in lines
        )
    assert sum("label_count{" in line for line in lines) == 5
    # Of topics 0.9 and 0.6, nothing at all by 1 - 0.3, and 0.8.
    topics = {
        line.partition(" ")[0][-5:-2]: line for line in lines if "confidence_bucket" in line and '"topics"' in line
    }
    assert [topics[limit][-1] for limit in ("0.5", ".65", "0.7", "0.8", ".85", ".95")] == ["0", "1", "2", "2", "3", "4"]
    value = ':attention:serving:value_{}{{model_name="m",version="1",head="price"{}}} {}'
    for kind, limit, shown in (
        *(
            ("bucket", ',le="-0.5"', 0),
            ("bucket", ',le="-0.2"', 1),
            ("bucket", ',le="10"', 1),
            ("bucket", ',le="20"', 2),
        ),
        *(("bucket", ',le="+Inf"', 2), ("count", "", 2), ("sum", "", 12.2)),
    ):
        assert value.format(kind, limit, shown) in lines


@pytest.mark.parametrize(
    ("label", "held"),
    [
        (b"a|b|c", [b"a", b"b", b"c"]),
        (b"aa|c", [b"aa", b"c"]),
        (b"a - b", [b"a", b"b"]),
        (b"b|a", []),
        (b"a|x", []),
        (b"a", []),
        (b"", []),
    ],
)
def test_a_label_of_several_classes_is_taken_apart(label, held):
    classes = [b"a", b"aa", b"b", b"c"]
    scores = [0.9 if name in held else 0.1 * place for place, name in enumerate(classes)]
    assert split_label(label, classes, scores) == held


def test_outputs_of_other_models_are_passed_over():
    metrics = AnswerMetrics()
    metrics.record("m", 1, ["label", "probabilities"], [np.array([[1, 2]]), np.array(0.5)])
    metrics.record("m", 1, ["tokens", "scores"], [texts([b"a"]), np.zeros((0, 0), np.float32)])
    metrics.record("m", 1, [], [np.zeros(2)])
    assert all(line.startswith("#") for line in page(metrics))


def test_labels_without_end_do_not_make_a_page_without_end(monkeypatch):
    monkeypatch.setattr(answer_metrics, "MAX_LABELS", 5)
    metrics = AnswerMetrics()
    for number in range(50):
        metrics.record("m", 1, ["label"], [texts(b"%d" % number, b"0")])
    lines = [line for line in page(metrics) if line.startswith(":attention:serving:label_count")]
    assert len(lines) == 6
    assert ':attention:serving:label_count{model_name="m",version="1",head="label",label="…"} 45' in lines
    assert ':attention:serving:label_count{model_name="m",version="1",head="label",label="0"} 51' in lines


def test_a_version_that_is_gone_is_shown_once_more(start, exported, tmp_path):
    shutil.copytree(exported / "reviews", tmp_path / "reviews" / "1")
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    server = start(model_name="reviews", model_base_path=str(tmp_path / "reviews"), monitoring_config_file=monitoring)

    def versions():
        text = requests.get(server.rest_url + "/monitoring/prometheus/metrics", timeout=10).text
        return set(re.findall(r'label_count\{model_name="reviews",version="(\d)"', text))

    with PredictionClient(server.target, "reviews") as client:
        client.predict(["good", "bad"])
        assert versions() == {"1"}
        shutil.copytree(exported / "reviews_biased", tmp_path / "reviews" / ".2")
        (tmp_path / "reviews" / ".2").rename(tmp_path / "reviews" / "2")
        wait_until(lambda: server.states("reviews") == {1: "END", 2: "AVAILABLE"})
        client.predict(["good", "bad"])
        assert versions() == {"1", "2"}
        assert versions() == {"2"}
