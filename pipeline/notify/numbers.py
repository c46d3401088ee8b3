"""A run's numbers for Prometheus: as a file for node_exporter, or pushed to a Pushgateway."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway, write_to_textfile

from pipeline.notify.options import MetricsOptions

VERDICTS = ("pushed", "unchanged", "blocked", "failed")


def publish(options: MetricsOptions, registry: CollectorRegistry, pipeline: str) -> None:
    """Writes the file, whole or not at all, and pushes.

    Raises:
        OSError: the folder cannot be written, or the Pushgateway does not take it.
    """
    if options.textfile is not None:
        folder = Path(options.textfile)
        folder.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(folder / f"attention_{pipeline}.prom"), registry)
    if options.pushgateway is not None:
        push_to_gateway(
            options.pushgateway,
            job="attention",
            registry=registry,
            grouping_key={"pipeline": pipeline},
            timeout=options.timeout_seconds,
        )


def numbers(
    pipeline: str, result: Mapping[str, Any], live_version: int, newest_push: float | None
) -> CollectorRegistry:
    """The numbers of a run; what it did not measure is left out.

    Args:
        pipeline: its name, the label `pipeline` of each.
        result: as `attention run --json` prints it.
        live_version: 0: none.
        newest_push: seconds since 1970; None if nothing was pushed yet.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, values: Mapping[str, float | None], label: str = "") -> None:
        known = {key: value for key, value in values.items() if value is not None}
        if not known:
            return
        made = Gauge(f"attention_{name}", text, ["pipeline", *([label] if label else [])], registry=registry)
        for key, value in known.items():
            made.labels(pipeline, *([key] if label else [])).set(value)

    gates = {gate["name"]: gate for gate in result["gates"]}
    verdicts = {each: float(each == result["verdict"]) for each in VERDICTS}
    gauge("run_verdict", "1 for the newest run's verdict.", verdicts, "verdict")
    gauge("run_end_timestamp_seconds", "End of the newest run.", {"": time.time()})
    gauge("run_step_seconds", "Wall clock of a step; 0 from the cache.", result["seconds"], "step")
    gauge("run_rows", "Rows read, used, quarantined.", result["rows"] if result["rows"]["read"] else {}, "kind")
    gauge("run_metric", "On the test split.", result["metrics"], "metric")
    gauge("gate_value", "What a gate measured.", {name: gate["value"] for name, gate in gates.items()}, "gate")
    gauge("gate_limit", "What it was held to.", {name: gate["limit"] for name, gate in gates.items()}, "gate")
    gauge("gate_passed", "1 if it passed.", {name: float(gate["passed"]) for name, gate in gates.items()}, "gate")
    gauge("live_version", "Version that is served; 0: none.", {"": live_version})
    gauge("newest_push_timestamp_seconds", "When the newest version was pushed.", {"": newest_push})
    return registry
