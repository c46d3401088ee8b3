"""Size, memory and speed of a version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.gates import Gate
from components.release_gate.options import CostGates
from components.release_gate.sample import Model, Sample

_WARM_UP = 3


def request_seconds(model: Model, sample: Sample, options: CostGates) -> list[float]:
    """How long each request took, after a few that warm up.

    Args:
        model: in the fresh process.
        sample: the rows; they are asked again and again where they are few.
        options: how many requests, of how many rows, and how many at a time.

    Raises:
        QuestionError: the model does not answer.
    """
    places = np.arange(options.requests * options.batch_size) % sample.num_rows
    requests = list(places.reshape(options.requests, options.batch_size))
    model.seconds(sample.columns, requests[:_WARM_UP] * options.concurrency, options.concurrency)
    return model.seconds(sample.columns, requests, options.concurrency)


def cost_gates(model_dir: Path, replayed: Mapping[str, Any], seconds: list[float], options: CostGates) -> list[Gate]:
    """Makes the gates `cost/size`, `cost/load`, `cost/memory`, `cost/model_memory`, `cost/p50` and `cost/p99`.

    Args:
        model_dir: of the SavedModel.
        replayed: `load_seconds`, `peak_memory_bytes` and `memory_before_bytes` (just before the model was loaded), as
            the fresh process found them; what it could not find is not there.
        seconds: as `request_seconds` found them; none where it could not.
        options: limits.
    """
    size = sum(path.stat().st_size for path in model_dir.rglob("*") if path.is_file())
    asked = f"{size / 1e6:,.1f} MB; allowed are {options.max_bytes / 1e6:,.1f} MB"
    gates = [
        Gate(
            "cost/size",
            size <= options.max_bytes,
            size,
            options.max_bytes,
            f"The version has {asked}.",
            options.severity,
        )
    ]
    load = replayed.get("load_seconds")
    peak = replayed.get("peak_memory_bytes") if load is not None else None
    added = None if peak is None else max(peak - replayed["memory_before_bytes"], 0)
    p50, p99 = (float(np.quantile(seconds, part)) * 1000 if seconds else None for part in (0.5, 0.99))
    rows = "one row" if options.batch_size == 1 else f"{options.batch_size:,} rows"
    at_once = f", {options.concurrency} at a time," if options.concurrency > 1 else ""
    requests = f"{len(seconds):,} requests of {rows}{at_once} took up to"
    for name, value, limit, unit, what in (
        ("load", load, options.max_load_seconds, 1, "Loading it took {:.2f} s"),
        (
            "memory",
            peak,
            options.max_memory_bytes,
            1e6,
            "A fresh process took {:,.0f} MB, TensorFlow included",
        ),
        ("model_memory", added, options.max_model_memory_bytes, 1e6, "Of its memory the model takes {:,.0f} MB"),
        ("p50", p50, options.max_p50_ms, 1, f"Half of {requests} {{:.1f}} ms"),
        ("p99", p99, options.max_p99_ms, 1, f"99 % of {requests} {{:.1f}} ms"),
    ):
        if value is None:
            why = "It could not be measured: the fresh process gave no answer."
            gates.append(Gate(f"cost/{name}", limit is None, None, limit, why, options.severity))
            continue
        allowed = "no limit is set" if limit is None else f"allowed are {limit / unit:g}"
        why = f"{what.format(value / unit)}; {allowed}."
        gates.append(Gate(f"cost/{name}", limit is None or value <= limit, value, limit, why, options.severity))
    return gates
