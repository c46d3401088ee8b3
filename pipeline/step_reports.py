"""One line per step, in that step's own terms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.gates import read_gates
from pipeline.history import Step, property_of
from pipeline.tuning import found


def report(step: Step) -> tuple[str, bool]:
    """Describes what a node made.

    Args:
        step: a node that ran or was taken from the cache.

    Returns:
        (the line, whether it closed a gate).
    """
    describe = _REPORTS.get(step.node)
    return describe(step) if describe else ("", False)


def _artifact(step: Step, name: str) -> Any:
    artifact = step.output(name)
    if artifact is None:
        raise ValueError(f"{step.node} left no output {name!r}.")
    return artifact


def _example_gen(step: Step) -> tuple[str, bool]:
    examples = _artifact(step, "examples")
    by_split = json.loads(property_of(examples, "rows_by_split") or "{}")
    reasons = json.loads(property_of(examples, "quarantined_by_reason") or "{}")
    text = f"{int(property_of(examples, 'rows_read') or 0):,} rows read: "
    text += ", ".join(f"{split} {count:,}" for split, count in by_split.items())
    spans = int(property_of(examples, "spans_replayed") or 0)
    if spans:
        rows = int(property_of(examples, "rows_replayed") or 0)
        text += f"; replay: {rows:,} rows of {spans} older span{'s' * (spans > 1)}"
    if reasons:
        text += "; quarantined " + ", ".join(f"{count:,} ({reason})" for reason, count in reasons.items())
    return text, False


def _gates(step: Step) -> tuple[str, bool]:
    gates = read_gates(_artifact(step, "blessing").uri)
    closed = [gate for gate in gates if gate.blocks]
    warned = [gate for gate in gates if not gate.passed and not gate.blocks]
    if not closed:
        warnings = "".join(
            f" {f'Overruled ({gate.overruled})' if gate.overruled else 'Warning'}: {gate.name}: {gate.why}"
            for gate in warned
        )
        return f"{len(gates) - len(warned)} gates passed.{warnings}", False
    return " ".join(f"{gate.name}: {gate.why}" for gate in closed), True


def _transform(step: Step) -> tuple[str, bool]:
    assets = Path(_artifact(step, "transform_graph").uri, "transform_fn", "assets")
    sizes = []
    for path in sorted(assets.iterdir()) if assets.exists() else []:
        with open(path, "rb") as lines:
            sizes.append(f"{path.stem} {sum(1 for _ in lines):,}")
    return "vocabularies: " + ", ".join(sizes), False


def _search(step: Step) -> tuple[str, bool]:
    return found.read(_artifact(step, found.OUTPUTS[step.node]).uri).text, False


def _trainer(step: Step) -> tuple[str, bool]:
    path = Path(_artifact(step, "model_run").uri, "training.json")
    training = json.loads(path.read_text(encoding="utf-8"))
    best = training["curve"][training["best_epoch"] - 1]
    measured = ", ".join(f"{name} {value:.4f}" for name, value in best.items() if name.startswith("val_"))
    tuned = found.shown(training.get("tuned", {}))
    return (
        f"{len(training['curve'])} epochs, the best {training['best_epoch']}: {measured}; "
        f"{training['rows_per_second']:,.0f} rows/s"
        + "".join(f"; temperature {value:.2f}" for value in training["temperatures"].values())
        + (f"; tuned: {tuned}" if tuned else ""),
        False,
    )


def _baseline(step: Step) -> tuple[str, bool]:
    version = int(property_of(_artifact(step, "baseline_model"), "version") or 0)
    was_live = ("was" if step.state == "cached" else "is") + " live"
    return (f"version {version} {was_live}" if version else f"nothing {was_live} yet"), False


def _evaluator(step: Step) -> tuple[str, bool]:
    from components.release_gate.quality import overall_metrics

    metrics = overall_metrics(_artifact(step, "evaluation").uri)
    blessed = property_of(_artifact(step, "blessing"), "blessed") == 1
    shown = [name for name in metrics if name.rpartition("/")[2] in _SHOWN_METRICS]
    text = ", ".join(f"{name} {metrics[name]:.4f}" for name in sorted(shown, key=_by_head))
    rows = next((value for name, value in metrics.items() if name.rpartition("/")[2] == "example_count"), 0)
    verdict = "" if blessed else "; not all limits are met: ReleaseGate weighs by how much"
    return f"{int(rows):,} test rows: {text}{verdict}", False


_SHOWN_METRICS = (
    *("accuracy", "subset_accuracy", "micro_f1", "macro_f1", "mean_absolute_error", "root_mean_squared_error"),
    *("r_squared", "auc", "log_loss", "expected_calibration_error"),
)


def _by_head(metric: str) -> tuple[str, int]:
    head, _, name = metric.rpartition("/")
    return head, _SHOWN_METRICS.index(name)


def _pusher(step: Step) -> tuple[str, bool]:
    pushed = _artifact(step, "pushed_model")
    return str(property_of(pushed, "reason") or ""), False


_REPORTS: dict[str, Callable[[Step], tuple[str, bool]]] = {
    "ExampleGen": _example_gen,
    "DataGate": _gates,
    "Transform": _transform,
    "LiveModel": _baseline,
    found.TUNER: _search,
    found.IMPORTER: _search,
    "Trainer": _trainer,
    "BaselineModel": _baseline,
    "Evaluator": _evaluator,
    "ReleaseGate": _gates,
    "Pusher": _pusher,
}
