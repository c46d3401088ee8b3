"""What a collector of traces gets of a run, decoded from OTLP's own messages."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from pipeline.track import open_telemetry
from pipeline.track.options import OpenTelemetryOptions
from pipeline.track.record import NotTrackedError
from tests.pipeline.report.conftest import record
from tests.pipeline.track.conftest import steps

THREE = 1767236400 * 10**9


def values(pairs):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in pairs}


def sent(receiver, report, path):
    """Resource and spans by name, as they came."""
    place = open_telemetry.track(OpenTelemetryOptions(endpoint=receiver.url), report, path / "report.html", path)
    ((where, _, body),) = receiver.got
    assert where == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert place == f"{receiver.url}/v1/traces, trace {spans['reviews'].trace_id.hex()}"
    return values(resource.resource.attributes), spans


def test_a_run_is_one_trace_with_a_span_a_step(receiver, blocked, tmp_path):
    resource, spans = sent(receiver, blocked, tmp_path)
    assert (resource["service.name"], resource["attention.pipeline"]) == ("attention-pipeline", "reviews")
    assert set(spans) == {"reviews", "ExampleGen", "DataGate", "ReleaseGate"}
    run = spans.pop("reviews")
    assert {span.trace_id for span in spans.values()} == {run.trace_id}
    assert {span.parent_span_id for span in spans.values()} == {run.span_id}
    assert run.parent_span_id == b""
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (THREE, THREE + 30 * 10**9)
    told = values(run.attributes)
    assert (told["attention.run"], told["attention.verdict"]) == ("20260101-030000.000", "blocked")
    assert told["attention.why"] == "gate metric/accuracy: accuracy is 0.8"
    times = [(span.start_time_unix_nano - THREE, span.end_time_unix_nano - THREE) for span in spans.values()]
    assert times == [(0, 0), (10 * 10**9, 20 * 10**9), (20 * 10**9, 30 * 10**9)]
    assert all(span.status.code == Status.STATUS_CODE_UNSET for span in (run, *spans.values()))


def test_spans_tell_outcome_cache_and_gates(receiver, blocked, tmp_path):
    _, spans = sent(receiver, blocked, tmp_path)
    assert values(spans["ExampleGen"].attributes) == {
        "attention.run": "20260101-030000.000", "attention.component": "ExampleGen", "attention.outcome": "cached",
        "attention.cached": True,
    }  # fmt: skip
    gate = values(spans["ReleaseGate"].attributes)
    assert (gate["attention.outcome"], gate["attention.gate.metric/accuracy"]) == ("blocked", "blocked")
    (event,) = spans["ReleaseGate"].events
    assert (event.name, event.time_unix_nano) == ("gate blocked", THREE + 30 * 10**9)
    assert values(event.attributes) == {
        "attention.gate": "metric/accuracy", "attention.gate.value": 0.8, "attention.gate.limit": 0.85,
        "attention.gate.why": "accuracy is 0.8",
    }  # fmt: skip
    (event,) = spans["DataGate"].events
    assert event.name == "gate warned"
    assert "attention.gate.value" not in values(event.attributes)
    assert values(spans["DataGate"].attributes)["attention.outcome"] == "ran"


def test_what_failed_is_an_error(receiver, tmp_path):
    report = record(verdict="failed", why="Trainer: the disk is full", steps=steps(Trainer="failed"), gates=[])
    _, spans = sent(receiver, report, tmp_path)
    assert spans["Trainer"].status.code == spans["reviews"].status.code == Status.STATUS_CODE_ERROR
    assert spans["Trainer"].status.message == "the disk is full"


def test_a_run_without_steps_is_a_trace_too(receiver, tmp_path):
    _, spans = sent(receiver, record(verdict="failed", started=None, steps=[], gates=[]), tmp_path)
    assert set(spans) == {"reviews"}


def test_a_collector_that_is_away_or_refuses_is_told_soon(receiver, blocked, tmp_path):
    away = OpenTelemetryOptions(endpoint="http://127.0.0.1:9", timeout_seconds=0.5)
    with pytest.raises(NotTrackedError, match=r"127\.0\.0\.1:9/v1/traces is away or does not take the trace"):
        open_telemetry.track(away, blocked, tmp_path / "report.html", tmp_path)
    receiver.status = 400
    with pytest.raises(NotTrackedError, match="is away or does not take the trace"):
        sent(receiver, blocked, tmp_path)


def test_secrets_stand_in_the_environment(receiver, blocked, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20key")
    sent(receiver, blocked, tmp_path)
    headers = {name.lower(): value for name, value in receiver.got[0][1].items()}
    assert headers["authorization"] == "Bearer key"
    with pytest.raises(ValueError, match="endpoint"):
        OpenTelemetryOptions(endpoint="https://user:password@host")
