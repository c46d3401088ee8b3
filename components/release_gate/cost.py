"""Size, memory and speed of a version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.gates import Gate
from components.release_gate.options import CostGates


def cost_gates(model_dir: Path, replayed: Mapping[str, Any], seconds: list[float], options: CostGates) -> list[Gate]:
    """Makes the gates `cost/size`, `cost/load`, `cost/memory`, `cost/model_memory`, `cost/p50` and `cost/p99`.

    Args:
        model_dir: of the SavedModel.
        replayed: `load_seconds`, `peak_memory_bytes` and `memory_before_bytes` (just before the model was loaded), as
            the fresh process found them; what it could not find is not there.
        seconds: of each request of one row; the first ones warm up.
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
    warm = np.array(seconds[min(3, len(seconds) - 1) :]) * 1000 if seconds else None
    p50, p99 = (None if warm is None else float(np.quantile(warm, part)) for part in (0.5, 0.99))
    requests = f"{0 if warm is None else len(warm)} requests of one row took up to"
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
