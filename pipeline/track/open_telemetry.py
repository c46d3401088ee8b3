"""Tells a run as a trace of OpenTelemetry: a span a step, and an event for each gate that did not pass."""

import datetime
from pathlib import Path

from pipeline.report.facts import GateFact, RunReport
from pipeline.track.options import OpenTelemetryOptions
from pipeline.track.record import NotTrackedError, outcome, span, span_of_run

TRACES_PATH = "/v1/traces"


def track(options: OpenTelemetryOptions, report: RunReport, page: Path, directory: Path) -> str:
    """Sends the trace, with the times that ML Metadata has.

    Args:
        options: where to.
        report: the record.
        page: `report.html`; the trace names it.
        directory: nothing is written there.

    Returns:
        The collector's address, and the trace's number.

    Raises:
        NotTrackedError: the collector is away or does not take it.
    """
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider, sampling
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    resource = Resource.create({"service.name": "attention-pipeline", "attention.pipeline": report.pipeline})
    provider = TracerProvider(sampling.ALWAYS_ON, resource, shutdown_on_exit=False)
    spans = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("attention")
    began, ended = span_of_run(report)
    whole = tracer.start_span(report.pipeline, start_time=_nanoseconds(began))
    whole.set_attributes(
        {"attention.run": report.run, "attention.verdict": report.verdict, "attention.why": report.why}
    )
    whole.set_attribute("attention.report", str(page))
    if report.version is not None:
        whole.set_attribute("attention.version", report.version)
    if report.verdict == "failed":
        whole.set_status(trace.StatusCode.ERROR, report.why)
    for step in report.steps:
        first, last = span(step)
        part = tracer.start_span(
            step.node, trace.set_span_in_context(whole), start_time=_nanoseconds(first), record_exception=False
        )
        came = outcome(report, step)
        part.set_attributes({"attention.run": report.run, "attention.component": step.node, "attention.outcome": came})
        part.set_attribute("attention.cached", step.state == "cached")
        if step.state == "failed":
            part.set_status(trace.StatusCode.ERROR, step.error)
        for gate in (each for each in report.gates if each.step == step.node):
            part.set_attribute(f"attention.gate.{gate.name}", _verdict(gate))
            if not gate.passed:
                told: dict[str, str | float] = {"attention.gate": gate.name, "attention.gate.why": gate.why}
                numbers = {"attention.gate.value": gate.value, "attention.gate.limit": gate.limit}
                told |= {key: number for key, number in numbers.items() if number is not None}
                part.add_event(f"gate {_verdict(gate)}", told, timestamp=_nanoseconds(last))
        part.end(_nanoseconds(last))
    whole.end(_nanoseconds(ended))
    address = options.endpoint.rstrip("/") + TRACES_PATH
    exporter = OTLPSpanExporter(endpoint=address, timeout=options.timeout_seconds)
    try:
        if exporter.export(spans.get_finished_spans()) is not SpanExportResult.SUCCESS:
            raise NotTrackedError(f"{address} is away or does not take the trace; the log says more")
    finally:
        exporter.shutdown()
        provider.shutdown()
    return f"{address}, trace {trace.format_trace_id(whole.get_span_context().trace_id)}"


def _verdict(gate: GateFact) -> str:
    if gate.passed:
        return "passed"
    return "blocked" if gate.blocks else "overruled" if gate.overruled else "warned"


def _nanoseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
