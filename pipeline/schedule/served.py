"""Drift seen by the servers' metrics: what the live version answers now against what it answered to its test rows.

Counters only grow, and begin again with the server: what is kept are the counters of the newest look, and the answers
that came since they were last judged. A judgement ends the window, so that new drift is not hidden by old answers.
"""

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict

from components.answer_record import CONFIDENCE_BINS, AnswerRecord, HeadAnswers
from components.measures import infinity_norm, jensen_shannon_divergence
from models.spec import LABEL_KEY
from pipeline.config import PipelineConfig
from pipeline.schedule.options import DriftOptions

MAX_PAGE_BYTES = 1 << 26
OTHERS = "…"
"""Label under which a server counts the labels that are too many."""
PREFIX = ":attention:serving:"
SERIES = {
    "label_count": "label",
    "confidence_bucket": "le",
    "value_bucket": "le",
    "token_count": "",
    "unknown_token_count": "",
}
"""Series → the label by which its counts are told apart."""
NO_SERIES = "it has no counts of answers; only this project's server exports them"

Counts = dict[str, int]
"""`series⇥head⇥value` → answers. Buckets hold all that lie below, as Prometheus has them."""


class PageError(RuntimeError):
    """A page was not read; the text says which and why."""


class Served(BaseModel):
    """What is known of the live version's answers in service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    seen: dict[str, Counts] = {}
    """Server's page → its counters at the newest look."""
    answers: Counts = {}
    """Of all servers, since they were last judged."""
    told: AwareDatetime | None = None
    """When drift of this version made a run due."""


@dataclass(frozen=True)
class Look:
    """What the servers told.

    Attributes:
        served: for the next look.
        drifted: a sentence for each distance beyond its limit.
        notes: what could not be read.
    """

    served: Served | None
    drifted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def look(
    config: PipelineConfig, version: int, release_dir: Path, served: Served | None, now: datetime.datetime
) -> Look:
    """Reads the servers' pages and judges the answers, once there are enough.

    Args:
        config: names the pages and limits.
        version: that is live.
        release_dir: where it keeps its record.
        served: of the look before.
        now: with a time zone.
    """
    options = config.schedule.drift
    if options is None:
        return Look(served)
    try:
        record = AnswerRecord.read(release_dir)
    except ValueError:
        return Look(served, notes=(f"drift: the record of answers in {release_dir} cannot be read.",))
    if record is None:
        why = f"drift: version {version} has no record of its answers; the next that is pushed will have one."
        return Look(served, notes=(why,))
    if served is None or served.version != version:
        served = Served(version=version)
    seen, answers, notes = dict(served.seen), Counter(served.answers), []
    for url in options.urls:
        try:
            counts = counts_of(_page(url, options.timeout_seconds), config.name, version)
        except PageError as error:
            notes.append(f"drift: {url} cannot be read: {error}.")
            continue
        answers.update(_came(counts, seen.get(url, {})))
        seen[url] = counts
    drifted: list[str] = []
    pause = datetime.timedelta(hours=options.pause_hours)
    paused = served.told is not None and served.told <= now < served.told + pause
    enough = max(_rows_by_head(answers, record).values(), default=0) >= options.min_answers
    if enough and not paused:
        drifted = judge(answers, record, version, options, config.validation.noise_allowance)
    if enough or paused:
        answers.clear()
    told = now if drifted else served.told
    kept = served.model_copy(update={"seen": seen, "answers": dict(answers), "told": told})
    return Look(kept, tuple(drifted), tuple(notes))


def counts_of(page: str, model: str, version: int) -> Counts:
    """The counts of one version's answers on a page.

    Raises:
        PageError: it is no page of Prometheus, or of a server that does not count answers.
    """
    from prometheus_client.parser import text_string_to_metric_families

    counts: Counter[str] = Counter()
    known = False
    try:
        for family in text_string_to_metric_families(page):
            known = known or family.name.startswith(PREFIX)
            for sample in family.samples:
                series = sample.name.removeprefix(PREFIX).removesuffix("_total")
                labels = sample.labels
                if series in SERIES and (labels.get("model_name"), labels.get("version")) == (model, str(version)):
                    value = labels.get(SERIES[series], "")
                    counts["\t".join((series, labels.get("head", ""), value))] += int(sample.value)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise PageError("it is no page of Prometheus") from None
    if not known:
        raise PageError(NO_SERIES)
    return dict(counts)


def judge(
    answers: Mapping[str, int], record: AnswerRecord, version: int, options: DriftOptions, allowance: float
) -> list[str]:
    """Measures the distances.

    Args:
        answers: that came since the judgement before.
        record: what the version answered to its test rows.
        version: for the sentences.
        options: limits, and how many answers are enough.
        allowance: limits rise by this over the root of the smaller number of answers; see `validation`.

    Returns:
        A sentence for each that is beyond its limit.
    """
    found = []

    def limit(threshold: float, *sizes: int) -> float:
        return threshold + allowance / max(min(sizes), 1) ** 0.5

    for name, rows in _rows_by_head(answers, record).items():
        if rows < options.min_answers:
            continue
        of = "" if len(record.heads) + len(record.numbers) == 1 else f" of `{name}`"
        if name in record.numbers:
            quantiles = np.array(record.numbers[name].quantiles)
            here, there = _buckets(_of(answers, record, "value_bucket", name), quantiles, np.ones(len(quantiles)))
            distance, allowed = jensen_shannon_divergence(here, there), limit(options.values, rows, record.rows)
            if distance > allowed:
                found.append(
                    f"Jensen-Shannon divergence between the values{of} of {rows:,} answers of version {version} and of "
                    f"its answers to {record.rows:,} test rows is {distance:.3f}; allowed is {allowed:.3f}."
                )
            continue
        head = record.heads[name]
        labels, here, there = _labels(_of(answers, record, "label_count", name), head)
        distance, allowed = infinity_norm(here, there), limit(options.labels, rows, record.rows)
        if distance > allowed:
            most = int(np.abs(here / here.sum() - there / there.sum()).argmax())
            found.append(
                f"L-infinity distance between the labels{of} of {rows:,} answers of version {version} and of its "
                f"answers to {record.rows:,} test rows is {distance:.3f}; allowed is {allowed:.3f} "
                f"({labels[most]!r}: {here[most] / here.sum():.1%}, on test rows {there[most] / there.sum():.1%})."
            )
        ends = np.arange(1, CONFIDENCE_BINS + 1) / CONFIDENCE_BINS - 1e-9
        here, there = _buckets(_of(answers, record, "confidence_bucket", name), ends, np.array(head.confidences))
        distance, allowed = jensen_shannon_divergence(here, there), limit(options.confidence, rows, record.rows)
        if here.sum() and distance > allowed:
            found.append(
                f"Jensen-Shannon divergence between the confidences{of} of {here.sum():,} answers of version {version} "
                f"and of its answers to {record.rows:,} test rows is {distance:.3f}; allowed is {allowed:.3f}."
            )
    tokens, unknown = (
        sum(count for key, count in answers.items() if key.startswith(f"{series}\t"))
        for series in ("token_count", "unknown_token_count")
    )
    if tokens >= options.min_answers:
        expected = record.unknown_tokens / max(record.tokens, 1)
        share, allowed = unknown / tokens, expected + limit(options.unknown_tokens, tokens, record.tokens)
        if share > allowed:
            found.append(
                f"{share:.2%} of {tokens:,} tokens of texts that version {version} explained are unknown to it; "
                f"allowed is {allowed:.2%} (of its test rows' tokens {expected:.2%} are)."
            )
    return found


def _page(url: str, timeout_seconds: float) -> str:
    import urllib3

    try:
        with urllib3.PoolManager(timeout=timeout_seconds, retries=False) as pool:
            answer = pool.request("GET", url, preload_content=False)
            with answer:
                if answer.status != 200:
                    raise PageError(f"it answered {answer.status}")
                return answer.read(MAX_PAGE_BYTES).decode("utf-8", "replace")
    except urllib3.exceptions.HTTPError as error:
        raise PageError(f"the server is away ({type(error).__name__})") from None


def _came(now: Mapping[str, int], before: Mapping[str, int]) -> Counts:
    """What was counted between two looks; all there is, if the counters began again in between."""
    if any(now.get(key, 0) < count for key, count in before.items()):
        return dict(now)
    return {key: count - before.get(key, 0) for key, count in now.items()}


def _of(answers: Mapping[str, int], record: AnswerRecord, series: str, head: str) -> Counts:
    """Value → count, of one head; a server that tells no heads apart counts the only one or `label`."""
    heads = [*record.heads, *record.numbers]
    nameless = heads[0] if len(heads) == 1 else LABEL_KEY
    found: Counter[str] = Counter()
    for key, count in answers.items():
        own, told, value = key.split("\t", 2)
        if own == series and (told or nameless) == head:
            found[value] += count
    return dict(found)


def _rows_by_head(answers: Mapping[str, int], record: AnswerRecord) -> dict[str, int]:
    labels = {name: sum(_of(answers, record, "label_count", name).values()) for name in record.heads}
    return labels | {name: _of(answers, record, "value_bucket", name).get("+Inf", 0) for name in record.numbers}


def _labels(counts: Counts, head: HeadAnswers) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Labels, and int `(labels,)` of both sides; what the server counts together is put together here, too."""
    recorded = Counter(head.labels)
    if OTHERS in counts:
        for label in [each for each in recorded if each not in counts]:
            recorded[OTHERS] += recorded.pop(label)
    names = sorted({*counts, *recorded})
    here, there = (np.array([side.get(name, 0) for name in names]) for side in (counts, recorded))
    return names, here, there


def _buckets(counts: Counts, places: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides in the server's own buckets: int `(buckets,)`, float `(buckets,)`.

    Args:
        counts: upper end → answers up to it.
        places: float `(n,)`, of the record.
        weights: `(n,)`, how much is at each.
    """
    below = sorted((float(bound), count) for bound, count in counts.items())
    recorded = np.bincount(np.searchsorted([bound for bound, _ in below], places), weights, minlength=len(below))
    return np.diff([count for _, count in below], prepend=0), recorded[: len(below)]
