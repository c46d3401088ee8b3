"""How far the answers move away from the live version's."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from components.data_gate.report import shorten
from components.gates import Gate
from components.release_gate.options import FlipGates
from components.release_gate.sample import Answers, Sample

SHOWN_ROWS = 3
_Z95 = 1.96


def flip_gates(
    sample: Sample,
    candidate: Mapping[str, Answers],
    live: Mapping[str, Answers],
    slices: Sequence[Sequence[str]],
    version: int,
    options: FlipGates,
) -> list[Gate]:
    """Makes the gates `flips` and `flips/<slice>`; where there are several heads, `flips/<head>` and so on.

    Of a number the value is the mean change over the standard deviation of the labels. A slice counts if it has
    `min_rows`; of all slices by the same features the worst is told, and it fails only if not even the lower end of
    Wilson's interval (1927, 95 %) is within the limit.

    Args:
        sample: the rows.
        candidate: head → its answers.
        live: the live version's.
        slices: features by whose values rows are told apart.
        version: the live version's number.
        options: limits.
    """
    gates = []
    for head, ours in candidate.items():
        name = f"flips/{head}" if len(candidate) > 1 else "flips"
        if head not in live:
            why = f"Version {version} does not answer `{head}` yet, so there is nothing to flip from."
            gates.append(Gate(name, True, None, None, why, options.severity))
        elif ours.is_number:
            gates.append(_change_gate(name, sample, head, ours, live[head], version, options))
        else:
            flipped = ours.labels != live[head].labels
            rows = _examples(sample, ours, live[head], flipped)
            share = float(flipped.mean())
            why = (
                f"{int(flipped.sum()):,} of {len(flipped):,} rows ({share:.2%}) get another label than from version "
                f"{version}; allowed is {options.max:.2%}."
            )
            passed = share <= options.max
            gates.append(Gate(name, passed, share, options.max, why, options.severity, rows))
            gates += [
                _slice_gate(name, sample, head, columns, flipped, version, options) for columns in slices if columns
            ]
    return gates


def groups_of(sample: Sample, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """`column=value,…` → bool `(rows,)`."""
    values = list(zip(*(sample.table.columns[column].to_pylist() for column in columns), strict=True))
    names = np.array([",".join(f"{c}={v}" for c, v in zip(columns, row, strict=True)) for row in values], object)
    return {name: names == name for name in sorted(set(names.tolist()))}


def _slice_gate(
    name, sample: Sample, head: str, columns, flipped: np.ndarray, version: int, options: FlipGates
) -> Gate:
    name = f"{name}/{','.join(columns)}"
    large = {key: rows for key, rows in groups_of(sample, columns).items() if rows.sum() >= options.min_rows}
    if not large:
        why = f"No slice has {options.min_rows} of the {sample.num_rows:,} rows, so none is judged by itself."
        return Gate(name, True, None, options.max, why, options.severity)
    key, rows = max(large.items(), key=lambda item: _wilson_low(flipped[item[1]]))
    share, low = float(flipped[rows].mean()), _wilson_low(flipped[rows])
    why = (
        f"Of {len(large)} slices {shorten(key, 60)} is the worst: {int(flipped[rows].sum()):,} of {int(rows.sum()):,} "
        f"rows ({share:.2%}, surely {low:.2%}) get another label than from version {version}; "
        f"allowed is {options.max:.2%}."
    )
    return Gate(name, low <= options.max, share, options.max, why, options.severity)


def _wilson_low(hits: np.ndarray) -> float:
    rows, share = len(hits), float(hits.mean())
    middle = share + _Z95**2 / (2 * rows)
    spread = _Z95 * math.sqrt(share * (1 - share) / rows + _Z95**2 / (4 * rows**2))
    return max((middle - spread) / (1 + _Z95**2 / rows), 0.0)


def _change_gate(name, sample: Sample, head, ours: Answers, live: Answers, version: int, options: FlipGates) -> Gate:
    change = np.abs(ours.scores[:, 0] - live.scores[:, 0])
    deviation = float(np.nanstd(sample.labels[head])) or 1.0
    value = float(change.mean() / deviation)
    rows = [
        f"{live.scores[at, 0]:.4g} → {ours.scores[at, 0]:.4g}: {sample.describe(at)}"
        for at in np.argsort(-change, kind="stable")[:SHOWN_ROWS]
    ]
    why = (
        f"`{head}` changes by {change.mean():.4g} on average against version {version}, {value:.3f} of its standard "
        f"deviation; allowed is {options.max_change:g}."
    )
    return Gate(name, value <= options.max_change, value, options.max_change, why, options.severity, rows)


def _examples(sample: Sample, ours: Answers, live: Answers, flipped: np.ndarray) -> list[str]:
    """The flips of which both versions are surest, first."""
    sure = np.minimum(ours.confidence, live.confidence)
    order = [at for at in np.argsort(-sure, kind="stable") if flipped[at]]
    return [f"{_label(live, at)} → {_label(ours, at)}: {sample.describe(at)}" for at in order[:SHOWN_ROWS]]


def _label(answers: Answers, at: int) -> str:
    return f"{answers.labels[at].decode() or '(none)'} ({answers.confidence[at]:.0%})"
