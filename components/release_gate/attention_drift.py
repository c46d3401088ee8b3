"""Whether the candidate looks at other words than the live version does."""

from collections.abc import Mapping

import numpy as np

from components.gates import Gate
from components.release_gate.options import AttentionGate
from components.release_gate.sample import EXPLAINED, Sample
from components.release_gate.word_questions import Word, ranked_words

TOP_WORDS = 3
SHOWN_ROWS = 3


def attention_drift_gates(
    sample: Sample,
    ours: Mapping[str, np.ndarray],
    live: Mapping[str, np.ndarray],
    version: int,
    options: AttentionGate,
) -> list[Gate]:
    """Makes the gate `attention/drift`: the share of the most attended words that both have, mean over the rows.

    Args:
        sample: the rows.
        ours: what the candidate's `explain` says of them.
        live: the live version's.
        version: its number.
        options: the limit.
    """
    if not sample.texts:
        return []
    if not set(live) >= EXPLAINED:
        why = f"Version {version} answers without attention, so there is nothing to drift from."
        return [Gate("attention/drift", True, None, options.min_overlap, why, options.severity)]
    tops: list[tuple[int, list[Word], list[Word]]] = []
    for row in range(sample.num_rows):
        own, old = ranked_words(sample, ours, row)[:TOP_WORDS], ranked_words(sample, live, row)[:TOP_WORDS]
        if own and old:
            tops.append((row, own, old))
    if not tops:
        return [Gate("attention/drift", True, None, options.min_overlap, "No row has a word.", options.severity)]
    shares = [len({*own} & {*old}) / max(len(own), len(old)) for _, own, old in tops]
    value = float(np.mean(shares))
    why = (
        f"Of the {TOP_WORDS} most attended words of a row, version {version} has {value:.1%} among its own, mean over "
        f"{len(tops):,} rows; at least {options.min_overlap:.1%} is asked for."
    )
    rows = [
        f"{_told(tops[at][2])} → {_told(tops[at][1])}: {sample.describe(tops[at][0])}"
        for at in np.argsort(shares, kind="stable")[:SHOWN_ROWS]
    ]
    return [
        Gate("attention/drift", value >= options.min_overlap, value, options.min_overlap, why, options.severity, rows)
    ]


def _told(words: list[Word]) -> str:
    return ", ".join(word for _, word in words)
