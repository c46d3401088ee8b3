"""Every metric and label that rules and panels name is one that the server shows."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from deploy.serving.metrics import ServingMetrics

ROOT = Path(__file__).parents[3] / "deploy" / "monitoring"
ALERTS = yaml.safe_load((ROOT / "alerts.yaml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SCRAPE = yaml.safe_load((ROOT / "prometheus.yaml").read_text(encoding="utf-8"))
EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in RULES] + [
    (panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]
]
STATUSES = {
    "OK", "INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED", "UNAVAILABLE", "RESOURCE_EXHAUSTED",
    "INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND",
}  # fmt: skip


@pytest.fixture(scope="module")
def shown():
    """Label names by series name, as the server's page has them after one of everything."""
    metrics = ServingMetrics()
    metrics.record("m", "Predict", "GRPC", "OK", 0.1)
    metrics.record_version("m", 1, "explain", "OK", 0.1)
    metrics.record_runtime("m", "Predict", 0.1)
    metrics.record_queuing("pool", 0.1)
    metrics.record_batch("m", 1, 8)
    outputs = {
        "label": np.array([b"yes"], object),
        "probabilities": np.array([[0.5]], np.float32),
        "price_value": np.array([9.5], np.float32),
        "tokens": np.array([[b"a"]], object),
        "token_features": np.array([[b"t"]], object),
    }
    metrics.answers.record("m", 1, list(outputs), list(outputs.values()))
    found = {"up": {"job", "instance"}}
    for line in metrics.page().splitlines():
        if not line.startswith("#"):
            name, names = re.match(r"([a-z:_]+)\{(.*)\} ", line).groups()
            found.setdefault(name, {"job", "instance"}).update(re.findall(r'(\w+)="', names))
    return found


def series(expression):
    """(metric, labels of its matchers) of an expression."""
    for name, matchers in re.findall(r"((?::[a-z_]+)+|\bup\b)(?:\{([^}]*)\})?", expression):
        yield name, re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers)


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_every_metric_and_label_is_shown_by_the_server(shown, name, expression):
    used = list(series(expression))
    assert used, name
    for metric, labels in used:
        assert metric in shown, name
        assert set(labels) <= shown[metric], name
    grouped = {label for each in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", each)}
    assert grouped <= set.union(*(shown[metric] for metric, _ in used)), name
    if "histogram_quantile" in expression:
        assert "le" in grouped
        assert all(metric.endswith("_bucket") for metric, _ in used)
    statuses = re.findall(r'status(?:=~|!=|=)"([^"]*)"', expression)
    assert {status for each in statuses for status in each.split("|")} <= STATUSES
    assert expression.count("(") == expression.count(")")


def test_rules_say_what_is_wrong_and_how_urgent_it_is():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = {label for each in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in re.split(r",\s*", each)}
        assert named <= (kept or {"instance", "job"}), rule["alert"]


def test_what_only_the_python_server_shows_stands_apart():
    drift = [rule for group in ALERTS["groups"] if group["name"] == "drift" for rule in group["rules"]]
    assert [rule for rule in RULES if ":attention:" in rule["expr"]] == drift
    row = ""
    for panel in DASHBOARD["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        if any(":attention:" in target["expr"] for target in panel.get("targets", [])):
            assert "Python server only" in row, panel["title"]


def test_the_dashboard_is_whole():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]}
    assert len(places) == len(ids)
    (variable,) = DASHBOARD["templating"]["list"]
    source = yaml.safe_load((ROOT / "grafana" / "datasource.yaml").read_text(encoding="utf-8"))["datasources"][0]["uid"]
    assert {panel["datasource"]["uid"] for panel in PANELS} | {variable["datasource"]["uid"]} == {source}
    for panel in PANELS:
        assert panel["targets"]
        assert all(target["legendFormat"] for target in panel["targets"])


def test_prometheus_scrapes_what_compose_and_kubernetes_name():
    (job,) = SCRAPE["scrape_configs"]
    assert SCRAPE["rule_files"] == ["alerts.yaml"]
    assert {name for _, expression in EXPRESSIONS for name in re.findall(r'job="([^"]*)"', expression)} == {
        job["job_name"]
    }
    (discovery,) = job["dns_sd_configs"]
    compose = yaml.safe_load((ROOT.parent / "container" / "compose.yaml").read_text(encoding="utf-8"))
    services = (ROOT.parent / "kubernetes" / "base" / "services.yaml").read_text(encoding="utf-8")
    headless = [each for each in yaml.safe_load_all(services) if each["spec"].get("clusterIP") == "None"]
    assert discovery["names"] == [each["metadata"]["name"] for each in headless]
    assert discovery["names"] == compose["services"]["serving"]["networks"]["default"]["aliases"]
    assert discovery["port"] in [port["port"] for port in headless[0]["spec"]["ports"]]
