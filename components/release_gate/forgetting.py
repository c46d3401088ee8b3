"""Whether the candidate still knows what versions before it knew: frozen test sets of past runs, asked again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.gates import Gate, Severity
from components.release_gate.fresh_process import QuestionError
from components.release_gate.kept_rows import KeptSet, TrainSplit, scores
from components.release_gate.options import ForgettingGate
from components.release_gate.resampling import noise_of_mean
from components.release_gate.sample import Answers, Model

SHOWN_ROWS = 3


@dataclass(frozen=True)
class Asked:
    """One set with what is known of it.

    Attributes:
        kept: as the live version carries it.
        ours: head → the candidate's answers.
        live: head → the live version's.
        trained: bool `(rows,)`: rows that the candidate was trained on; None: not known.
        version: the live version's number.
    """

    kept: KeptSet
    ours: Mapping[str, Answers]
    live: Mapping[str, Answers]
    trained: np.ndarray | None
    version: int


def forgetting_gates(
    model: Model,
    live: Model,
    sets: Sequence[KeptSet],
    train: TrainSplit | None,
    version: int,
    confidence: float,
    options: ForgettingGate,
) -> list[Gate]:
    """Makes the gates `forgetting/<set>`; where there are several heads, `forgetting/<set>/<head>`.

    Args:
        model: the candidate.
        live: the live version.
        sets: that it carries.
        train: the candidate's train split; None: not at hand.
        version: the live version's number.
        confidence: a fall within the noise of so much does not block.
        options: limits.
    """
    if not sets:
        why = f"Version {version} keeps no rows of past test splits, so nothing can be seen to be forgotten."
        return [Gate("forgetting", True, None, None, why, options.severity)]
    gates = []
    for kept in sets:
        try:
            ours = model.answers(model.outputs(kept.sample.columns))
            theirs = live.answers(live.outputs(kept.sample.columns))
        except QuestionError as error:
            why = f"The rows kept of {kept.name} could not be asked: {error}."
            gates.append(Gate(f"forgetting/{kept.name}", False, None, None, why, options.severity))
            continue
        trained = train.holds(kept.sample) if train is not None else None
        asked = Asked(kept, ours, theirs, trained, version)
        gates += [forgetting_gate(asked, head, confidence, options) for head in ours]
    if train is not None and not train.is_whole:
        told = " (Whether a row was trained on is known of the first rows of the train split alone.)"
        gates = [Gate(**{**vars(gate), "why": gate.why + told}) for gate in gates]
    return gates


def forgetting_gate(asked: Asked, head: str, confidence: float, options: ForgettingGate) -> Gate:
    """Judges one head on one set.

    What a model was trained on does not show what it remembers. So rows of the candidate's train split are left out,
    and for those of the live version's the answer counts that was given while they were new.
    """
    kept, sample = asked.kept, asked.kept.sample
    name = f"forgetting/{kept.name}" + (f"/{head}" if len(asked.ours) > 1 else "")
    if head not in asked.live:
        why = f"Version {asked.version} does not answer `{head}` yet, so there is nothing to forget."
        return Gate(name, True, None, None, why, options.severity)
    ours, live = scores(sample, head, asked.ours[head]), scores(sample, head, asked.live[head])
    before = np.where(kept.was_trained_on, kept.first_scores(head), live)
    trained = asked.trained if asked.trained is not None else np.zeros(sample.num_rows, bool)
    counts = ~trained & np.isfinite(before) & np.isfinite(ours)
    number, is_number = int(counts.sum()), asked.ours[head].is_number
    limit = -(options.max_rise if is_number else options.max_drop)
    if number < options.min_rows:
        why = (
            f"Of the {sample.num_rows:,} rows kept of {kept.name} this run trains on {int(trained.sum()):,}; "
            f"{number:,} are left to judge by, and {options.min_rows:,} are wanted."
        )
        return Gate(name, True, None, limit, why, options.severity)
    differences = (ours - before)[counts]
    change, noise = float(differences.mean()), noise_of_mean(differences, confidence)
    low, high = noise.around(change)
    what = "the score (less the error over the labels' deviation)" if is_number else "accuracy"
    of_head = f" of `{head}`" if len(asked.ours) > 1 else ""
    why = (
        f"On {number:,} of the {sample.num_rows:,} rows kept of {kept.name} {what}{of_head} is "
        f"{ours[counts].mean():.4f} and was {before[counts].mean():.4f} with version {asked.version} ({change:+.4f}; "
        f"allowed is {limit:+.4f}). {_rows_told(asked, counts & kept.was_trained_on, trained)}Of chance, "
        f"{noise.confidence:.0%} lies between {low:+.4f} and {high:+.4f}"
    )
    passed = change >= limit - 1e-9
    severity: Severity = options.severity
    lacking = _lacking(asked)
    if not passed and high >= limit:
        why, severity = f"{why}, so it may be chance", "warn"
    elif not passed and lacking:
        why, severity = f"{why}; but the kept rows have no {', '.join(lacking)}, which may be why", "warn"
    return Gate(name, passed, change, limit, f"{why}.", severity, _newly_wrong(asked, head, ours, before, counts))


def _rows_told(asked: Asked, old: np.ndarray, trained: np.ndarray) -> str:
    """What is said of rows that were trained on; empty if none was."""
    parts = []
    if asked.trained is None:
        parts.append("Which of them the candidate was trained on is not known. ")
    elif trained.any():
        parts.append(f"This run trains on {int(trained.sum()):,} others, which are left out. ")
    if old.any():
        parts.append(
            f"Version {asked.version} was trained on {int(old.sum()):,}: there, the answer when they were new counts. "
        )
    return "".join(parts)


def _lacking(asked: Asked) -> list[str]:
    """Features that no kept row has."""
    columns = asked.kept.sample.table.columns
    return [f"`{name}`" for name in asked.kept.sample.columns if columns[name].null_count == asked.kept.sample.num_rows]


def _newly_wrong(asked: Asked, head: str, ours: np.ndarray, before: np.ndarray, counts: np.ndarray) -> list[str]:
    """Rows that got worse: the worst first and, of those, the ones whose answer is surest."""
    answers, sample = asked.ours[head], asked.kept.sample
    sure = np.zeros(sample.num_rows) if answers.is_number else answers.confidence
    fall = np.where(counts, before - ours, 0.0)
    worse = [at for at in np.lexsort((-sure, -fall)) if fall[at] > 0][:SHOWN_ROWS]
    if answers.is_number:
        return [f"now {answers.scores[at, 0]:.4g}: {sample.describe(at)}" for at in worse]
    return [f"now {answers.labels[at].decode() or '(none)'} ({sure[at]:.0%}): {sample.describe(at)}" for at in worse]
