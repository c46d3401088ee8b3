"""What any model must do: answer differently to different rows, beat one answer for all, mean its probabilities."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.data_gate.report import shorten
from components.gates import Gate
from components.release_gate.options import CalibrationGate, FairnessGates, HeadOptions, SanityGates
from components.release_gate.sample import Answers, Sample

Metrics = Mapping[str, float]
_TWO_ERRORS = 1.96


def constant_gates(sample: Sample, answers: Mapping[str, Answers], options: SanityGates) -> list[Gate]:
    """Makes the gate `sanity/constant`; where there are several heads, `/<head>` comes behind."""
    gates = []
    for head, ours in answers.items():
        name = f"sanity/constant/{head}" if len(answers) > 1 else "sanity/constant"
        spread = float(np.ptp(ours.scores, axis=0).max(initial=0))
        least = 1e-6 * (float(np.nanstd(sample.labels[head])) or 1.0) if ours.is_number else 1e-6
        given = "numbers" if ours.is_number else "probabilities"
        why = f"Over {sample.num_rows:,} rows its {given} differ by up to {spread:.3g}; {least:.1g} is asked for."
        if not ours.is_number:
            labels, counts = np.unique([label.decode() for label in ours.labels], return_counts=True)
            said = ", ".join(
                f"{shorten(str(label), 30)} {count:,}" for label, count in zip(labels[:10], counts, strict=False)
            )
            why += f" Labels: {said}."
            if len(labels) == 1 and len(set(sample.labels[head])) > 1:
                why = f"It gives all {sample.num_rows:,} rows the same label, {shorten(str(labels[0]), 30)!r}."
                gates.append(Gate(name, False, 1, 2, why, options.severity))
                continue
        gates.append(Gate(name, spread > least, spread, least, why, options.severity))
    return gates


def majority_gates(metrics: Metrics, heads: Mapping[str, HeadOptions], options: SanityGates) -> list[Gate]:
    """Makes the gate `sanity/majority` of heads with one class a row and of numbers.

    A model must beat always giving the most frequent class in accuracy or in macro F1 (which weighted classes are for),
    or the mean in squared error, or be within the noise of that. Several classes a row have no such answer.

    Args:
        metrics: of the whole test split.
        heads: their options.
        options: severity.
    """
    gates = []
    for head, settings in heads.items():
        name = f"sanity/majority/{head}" if len(heads) > 1 else "sanity/majority"
        rows = metrics.get(settings.metric("example_count"), 0.0)
        noise = 1 / max(rows, 1) ** 0.5
        if settings.type == "multi_label":
            continue
        if settings.type == "regression":
            value = metrics.get(settings.metric("r_squared"))
            why = "R² was not measured."
            if value is not None:
                why = f"R² on {rows:,.0f} rows is {value:.4f}; always saying the mean has 0, allowed is {-noise:.4f}."
            gates.append(Gate(name, value is not None and value >= -noise, value, -noise, why, options.severity))
            continue
        support = {key: count for key, count in metrics.items() if key.startswith(settings.metric("support/"))}
        accuracy, f1 = (metrics.get(settings.metric(each)) for each in ("accuracy", "macro_f1"))
        if accuracy is None or f1 is None or not sum(support.values()):
            gates.append(
                Gate(name, False, accuracy, None, "Accuracy and supports were not measured.", options.severity)
            )
            continue
        most = max(support, key=lambda key: support[key])
        share = support[most] / sum(support.values())
        constant_f1 = 2 * share / (1 + share) / sum(count > 0 for count in support.values())
        passed = accuracy >= share - noise / 2 or f1 > constant_f1
        why = (
            f"Accuracy is {accuracy:.4f} and macro F1 {f1:.4f}; always saying {most.rpartition('/')[2]!r} has "
            f"{share:.4f} and {constant_f1:.4f}, and one of them must be reached."
        )
        gates.append(Gate(name, passed, accuracy, share, why, options.severity))
    return gates


def calibration_gates(metrics: Metrics, heads: Mapping[str, HeadOptions], options: CalibrationGate) -> list[Gate]:
    """Makes the gate `calibration` of each head with one class a row: other heads have no such metric."""
    gates = []
    for head, settings in heads.items():
        if settings.type not in ("single_label", "ordinal"):
            continue
        name = f"calibration/{head}" if len(heads) > 1 else "calibration"
        value = metrics.get(settings.metric("expected_calibration_error"))
        why = "The expected calibration error was not measured."
        if value is not None:
            why = f"Probabilities are off by {value:.4f} (expected calibration error); allowed is {options.max:g}."
        gates.append(Gate(name, value is not None and value <= options.max, value, options.max, why, options.severity))
    return gates


def fairness_gates(
    by_slice: Mapping[str, Metrics],
    overall: Metrics,
    heads: Mapping[str, HeadOptions],
    columns: list[str],
    options: FairnessGates,
) -> list[Gate]:
    """Makes a gate `fairness/<column>` of each feature: how far the metric is apart between its values.

    The limit rises by two standard errors of a share in the two slices.

    Args:
        by_slice: `column=value` → metrics.
        overall: metrics of all rows.
        heads: their options; the first says how many rows a slice has.
        columns: the features.
        options: metric and limits.
    """
    first = next(iter(heads.values()))
    usual = {"regression": "mean_absolute_error", "multi_label": "subset_accuracy"}.get(first.type, "accuracy")
    metric, rows = options.metric or first.metric(usual), first.metric("example_count")
    gates = []
    for column in columns:
        own = {key: each for key, each in by_slice.items() if key.startswith(f"{column}=") and "," not in key}
        large = {key: each for key, each in own.items() if each.get(rows, 0) >= options.min_rows and metric in each}
        name = f"fairness/{column}"
        if len(large) < 2:
            known = any(metric in each for each in own.values()) or not own
            why = f"{len(large)} values of `{column}` have {options.min_rows} rows; a gap takes two."
            why = why if known else f"`{metric}` was not measured by `{column}`."
            gates.append(Gate(name, known, None, options.max_gap, why, options.severity))
            continue
        low = min(large, key=lambda key: large[key][metric])
        high = max(large, key=lambda key: large[key][metric])
        scale = overall.get(metric, 1.0) if "error" in metric or "loss" in metric else 1.0
        gap = (large[high][metric] - large[low][metric]) / (scale or 1.0)
        noise = _TWO_ERRORS * (0.25 / large[low][rows] + 0.25 / large[high][rows]) ** 0.5
        limit = options.max_gap + noise
        why = (
            f"{metric} is {large[low][metric]:.4f} on {shorten(low, 50)} ({large[low][rows]:,.0f} rows) and "
            f"{large[high][metric]:.4f} on {shorten(high, 50)} ({large[high][rows]:,.0f} rows), a gap of {gap:.4f}; "
            f"allowed is {limit:.4f} (of which {noise:.4f} for noise)."
        )
        gates.append(Gate(name, gap <= limit, gap, limit, why, options.severity))
    return gates


def train_gap_gates(training: Path | None, options: SanityGates) -> list[Gate]:
    """Makes the gate `sanity/train_eval_gap` of the Trainer's curve; none where it has no accuracy.

    Args:
        training: `training.json`; None where the model comes without one.
        options: limit.
    """
    if training is None:
        return []
    try:
        curve = json.loads(training.read_text(encoding="utf-8"))
        best = curve["curve"][curve["best_epoch"] - 1]
    except (OSError, ValueError, KeyError, IndexError) as error:
        why = f"The Trainer's curve cannot be read ({type(error).__name__}: {error})."
        return [Gate("sanity/train_eval_gap", False, None, options.max_train_eval_gap, why, "warn")]
    names = [name for name in best if name.endswith("accuracy") and f"val_{name}" in best]
    if not names:
        return []
    name = max(names, key=lambda each: best[each] - best[f"val_{each}"])
    gap, limit = best[name] - best[f"val_{name}"], options.max_train_eval_gap
    why = (
        f"{name} is {best[name]:.4f} in train and {best[f'val_{name}']:.4f} in eval, {gap:+.4f}; allowed is {limit:g}."
    )
    if gap > limit:
        why += " Fewer epochs, more dropout or more rows bring them together."
    return [Gate("sanity/train_eval_gap", gap <= limit, gap, limit, why, "warn")]
