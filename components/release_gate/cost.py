"""Size and speed of a version."""

from pathlib import Path

import numpy as np

from components.gates import Gate
from components.release_gate.options import CostGates


def cost_gates(model_dir: Path, load_seconds: float | None, seconds: list[float], options: CostGates) -> list[Gate]:
    """Makes the gates `cost/size`, `cost/load`, `cost/p50` and `cost/p99`.

    Args:
        model_dir: of the SavedModel.
        load_seconds: what the fresh process took to load it; None if it could not.
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
    warm = np.array(seconds[min(3, len(seconds) - 1) :]) * 1000 if seconds else None
    for name, value, limit, what in (
        ("load", load_seconds, options.max_load_seconds, "Loading it took {:.2f} s"),
        (
            "p50",
            None if warm is None else float(np.quantile(warm, 0.5)),
            options.max_p50_ms,
            "Half of {n} requests of one row took up to {:.1f} ms",
        ),
        (
            "p99",
            None if warm is None else float(np.quantile(warm, 0.99)),
            options.max_p99_ms,
            "99 % of {n} requests of one row took up to {:.1f} ms",
        ),
    ):
        if value is None:
            why = "It could not be measured: the fresh process gave no answer."
            gates.append(Gate(f"cost/{name}", limit is None, None, limit, why, options.severity))
            continue
        told = what.format(value, n=0 if warm is None else len(warm))
        allowed = "no limit is set" if limit is None else f"allowed are {limit:g}"
        gates.append(
            Gate(f"cost/{name}", limit is None or value <= limit, value, limit, f"{told}; {allowed}.", options.severity)
        )
    return gates
