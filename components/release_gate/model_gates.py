"""All gates on what a model answers: one fresh process, in which the candidate and the live version are asked."""

import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.answer_record import (
    UNKNOWN_TOKEN,
    AnswerRecord,
    HeadAnswers,
    head_answers,
    number_answers,
    several_answers,
)
from components.gates import Gate
from components.release_gate.attention_drift import attention_drift_gates
from components.release_gate.cost import cost_gates, request_seconds
from components.release_gate.explained_rows import write_explained
from components.release_gate.explanation import attention_gates
from components.release_gate.flips import flip_gates, groups_of
from components.release_gate.forgetting import forgetting_gates
from components.release_gate.fresh_process import RESULT_FILE, FreshProcess, QuestionError, fresh_process
from components.release_gate.kept_rows import Keep, TrainSplit, keep_rows, read_kept
from components.release_gate.options import EXAMPLES_FILE, ReleaseGateOptions
from components.release_gate.resampling import Noise, metrics_of, noise_of, noise_of_values
from components.release_gate.robustness import invariance_gates, robustness_gates
from components.release_gate.sample import EXPLAINED, Answers, Model, Sample, read_sample
from components.release_gate.sanity import (
    calibration_gates,
    constant_gates,
    fairness_gates,
    majority_gates,
    train_gap_gates,
)
from components.release_gate.serving_check import serving_gates

_logger = logging.getLogger("attention")


@dataclass(frozen=True)
class Candidate:
    """What is judged, and what is at hand for it.

    Attributes:
        directory: its SavedModel.
        live: that of the live version; None if nothing is live.
        live_version: its number.
        test_files: gzipped TFRecords of tf.Example.
        training: the Trainer's `training.json`, if there is one.
        train_files: of the train split; empty: they are not at hand.
        keep: what rows of the test split are kept as, for later versions; None: none is.
    """

    directory: Path
    live: Path | None
    live_version: int
    test_files: list[str]
    training: Path | None = None
    train_files: tuple[str, ...] = ()
    keep: Keep | None = None


@dataclass
class Verdict:
    """What came of the questions.

    Attributes:
        gates: all but those on metrics.
        noise: slice → metric → what chance does to its change against the live version; all rows are `""`.
        spread: slice → metric → what chance does to its value.
        by_slice: slice → metrics; all rows are `""`. As given, or of the rows that were asked.
        live: slice → the live version's metrics of the rows that were asked.
        seconds: that each request took.
    """

    gates: list[Gate] = field(default_factory=list)
    noise: dict[str, dict[str, Noise]] = field(default_factory=dict)
    spread: dict[str, dict[str, Noise]] = field(default_factory=dict)
    by_slice: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    live: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def judge(
    candidate: Candidate,
    by_slice: Mapping[str, Mapping[str, float]] | None,
    directory: Path,
    options: ReleaseGateOptions,
    process: FreshProcess | None = None,
) -> Verdict:
    """Makes all gates but those on metrics, in one fresh process.

    Args:
        candidate: what is judged.
        by_slice: slice → metrics over the whole test split; all rows are `""`. None: measure them on the rows asked.
        directory: gets `replay.json`, `ops.json`, `deletion.json`, `examples.json`, `answers.json`; the folder `kept`,
            if the candidate has `keep`.
        options: limits, heads, features.
        process: one that was started on the candidate before, whose `replay.json` is in the directory.
    """
    limits = options.gates
    verdict = Verdict(by_slice=by_slice or {})
    result_file = directory / RESULT_FILE
    started = nullcontext(process) if process else None
    with started or fresh_process(candidate.directory, result_file, options.timeout_seconds) as process:
        sample = read_sample(candidate.test_files, options.features, options.heads, limits.rows)
        served = serving_gates(process, directory, options)
        replayed = json.loads(result_file.read_text(encoding="utf-8")) if served[0].passed else {}
        _ask(process, candidate, sample, directory, options, verdict)
    overall, columns = verdict.by_slice.get("", {}), limits.fairness.columns
    if columns is None:
        columns = [each[0] for each in options.slices if len(each) == 1]
    verdict.gates = [
        *served,
        *calibration_gates(overall, options.heads, limits.calibration),
        *majority_gates(overall, options.heads, limits.sanity),
        *train_gap_gates(candidate.training, limits.sanity),
        *fairness_gates(verdict.by_slice, overall, options.heads, columns, limits.fairness),
        *verdict.gates,
        *cost_gates(candidate.directory, replayed, verdict.seconds, limits.cost),
    ]
    return verdict


def _ask(
    process: FreshProcess,
    candidate: Candidate,
    sample: Sample,
    directory: Path,
    options: ReleaseGateOptions,
    verdict: Verdict,
) -> None:
    """Makes the gates that ask about rows; what fails to answer does not pass."""
    limits, gates = options.gates, verdict.gates
    if not sample.num_rows:
        gates.append(Gate("answers", False, 0, 1, "The test split has no rows, so the model cannot be asked."))
        return
    model = Model(process, candidate.directory, options.heads)
    try:
        ours = model.answers(model.outputs(sample.columns))
        lacking = sorted(set(options.heads) - set(ours))
        if lacking:
            why = f"The model does not answer {', '.join(f'`{name}`' for name in lacking)}."
            gates.append(Gate("answers", False, len(lacking), 0, why))
            return
        verdict.by_slice = verdict.by_slice or _measured(sample, ours, options)
        if options.slice_limits:
            verdict.spread = _by_chance(sample, ours, None, options)
        gates += constant_gates(sample, ours, limits.sanity)
        gates += invariance_gates(model, sample, limits.robustness)
        verdict.seconds = request_seconds(model, sample, limits.cost)
        gates += robustness_gates(model, sample, limits.robustness, options.synonyms)
        explained = model.outputs(sample.columns, "explain")
        gates += attention_gates(model, sample, explained, directory, limits.attention)
        if set(explained) >= EXPLAINED:
            write_explained(sample, explained, ours, directory / EXAMPLES_FILE)
            _record(ours, explained).write(directory)
    except QuestionError as error:
        why = f"The model could not be asked about {sample.num_rows:,} rows of the test split: {error}."
        gates.append(Gate("answers", False, None, None, why))
        return
    live = Model(process, candidate.live, options.heads) if candidate.live else None
    _compare(live, candidate, sample, ours, options, verdict)
    if live is not None and set(explained) >= EXPLAINED:
        verdict.gates += _attention_drift(live, candidate, sample.first(limits.attention.rows), explained, options)
    _remember(model, live, candidate, directory, options, verdict)
    _logger.info("ReleaseGate asked about %s rows of the test split", f"{sample.num_rows:,}")


def _record(answers: Mapping[str, Answers], explained: Mapping[str, np.ndarray]) -> AnswerRecord:
    """The answers as they are counted of a version in service."""
    tokens = explained["tokens"][explained["token_features"] != b""]
    return AnswerRecord(
        rows=len(explained["tokens"]),
        heads={name: _counted(each) for name, each in answers.items() if not each.is_number},
        numbers={name: number_answers(each.scores[:, 0]) for name, each in answers.items() if each.is_number},
        tokens=len(tokens),
        unknown_tokens=int((tokens == UNKNOWN_TOKEN).sum()),
    )


def _counted(answers: Answers) -> HeadAnswers:
    if answers.head.type == "multi_label":
        return several_answers(answers.classes, answers.scores, answers.head.threshold)
    return head_answers(answers.labels, answers.scores.max(axis=1))


def _by_chance(
    sample: Sample, ours: Mapping[str, Answers], theirs: Mapping[str, Answers] | None, options: ReleaseGateOptions
) -> dict[str, dict[str, Noise]]:
    """Slice → metric → what chance does to its value or, with a live version's answers, to its change."""
    result: dict[str, dict[str, Noise]] = {}
    slices = _slices(sample, options)
    for name, rows in slices.items() if options.slice_limits else [("", slices[""])]:
        own, split_rows = np.flatnonzero(rows), round(sample.split_rows * rows.mean())
        for head, settings in options.heads.items():
            truth, answers = [sample.labels[head][row] for row in own], ours[head].take(own)
            if theirs is None:
                found = noise_of_values(truth, answers, split_rows, options.gates.confidence)
            elif head in theirs and theirs[head].classes == ours[head].classes:
                found = noise_of(truth, answers, theirs[head].take(own), split_rows, options.gates.confidence)
            else:
                continue
            result.setdefault(name, {}).update({settings.metric(metric): each for metric, each in found.items()})
    return result


def _slices(sample: Sample, options: ReleaseGateOptions) -> dict[str, np.ndarray]:
    """Slice → bool `(rows,)`; all rows are `""`."""
    groups = {"": np.ones(sample.num_rows, bool)}
    for columns in options.slices:
        groups |= groups_of(sample, columns)
    return groups


def _measured(
    sample: Sample, answers: Mapping[str, Answers], options: ReleaseGateOptions
) -> dict[str, dict[str, float]]:
    """Slice → metrics of the rows themselves."""
    groups = _slices(sample, options)
    weights = np.stack(list(groups.values())).astype(float)
    result: dict[str, dict[str, float]] = {name: {} for name in groups}
    for head, ours in answers.items():
        for metric, values in metrics_of(sample.labels[head], ours, weights).items():
            for name, value in zip(groups, values.tolist(), strict=True):
                result[name][options.heads[head].metric(metric)] = value
    return result


def _compare(
    live: Model | None,
    candidate: Candidate,
    sample: Sample,
    ours: Mapping[str, Answers],
    options: ReleaseGateOptions,
    verdict: Verdict,
) -> None:
    """Adds what the live version answers to the same rows."""
    limits = options.gates.flips
    if live is None:
        why = "No version is live yet, so there is nothing to flip from."
        verdict.gates.append(Gate("flips", True, None, None, why, limits.severity))
        return
    try:
        theirs = live.answers(live.outputs(sample.columns))
    except QuestionError as error:
        why = f"The live version {candidate.live_version} could not be asked: {error}."
        verdict.gates.append(Gate("flips", False, None, limits.max, why, limits.severity))
        return
    verdict.noise = _by_chance(sample, ours, theirs, options)
    verdict.live = _measured(sample, theirs, options)
    gates = flip_gates(sample, ours, theirs, options.slices, candidate.live_version, limits)
    if live.missing:
        told = f" It wants {', '.join(live.missing)}, too, which the rows do not have."
        gates = [Gate(**{**vars(gate), "why": gate.why + told}) for gate in gates]
    verdict.gates += gates


def _attention_drift(
    live: Model, candidate: Candidate, sample: Sample, explained: Mapping[str, np.ndarray], options: ReleaseGateOptions
) -> list[Gate]:
    limits, ours = options.gates.attention, {name: array[: sample.num_rows] for name, array in explained.items()}
    try:
        theirs = live.outputs(sample.columns, "explain")
    except QuestionError as error:
        why = f"The live version {candidate.live_version} could not be asked for its attention: {error}."
        return [Gate("attention/drift", False, None, limits.min_overlap, why, limits.severity)]
    return attention_drift_gates(sample, ours, theirs, candidate.live_version, limits)


def _remember(
    model: Model,
    live: Model | None,
    candidate: Candidate,
    directory: Path,
    options: ReleaseGateOptions,
    verdict: Verdict,
) -> None:
    """Asks about the rows that the live version keeps, and writes those that the candidate keeps."""
    limits, features, heads = options.gates.forgetting, options.features, options.heads
    if not limits.sets:
        return
    kept = read_kept(candidate.live, features, heads) if candidate.live else []
    train = None
    if candidate.train_files and (kept or candidate.keep):
        train = TrainSplit(candidate.train_files, features)
    if live is None:
        why = "No version is live yet, so there is nothing that could be forgotten."
        verdict.gates.append(Gate("forgetting", True, None, None, why, limits.severity))
    else:
        verdict.gates += forgetting_gates(
            model, live, kept, train, candidate.live_version, options.gates.confidence, limits
        )
    if candidate.keep and train is not None:
        try:
            keep_rows(directory, model, candidate.test_files, kept, train, candidate.keep, features, heads, limits)
        except QuestionError as error:
            why = f"The model could not be asked about the rows that are kept: {error}."
            verdict.gates.append(Gate("answers", False, None, None, why))
