"""How far the texts of this run's train split are from those that the live version was trained on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from components.data_gate.embedding import discrepancy, fourier_features
from components.data_gate.languages import counted, languages_of
from components.data_gate.report import shorten
from components.data_gate.words import (
    Profile,
    Words,
    length_histogram,
    profile_of,
    unseen_share,
    word_divergence,
)
from components.gates import Gate
from components.measures import jensen_shannon_divergence
from components.schema_gen.options import ValidationOptions

SHOWN_ROWS = 3


@dataclass(frozen=True)
class Texts:
    """One text feature of the train split.

    Attributes:
        column: string `(rows,)`.
        words: of the same rows.
        languages: row → language, of some rows.
    """

    column: pa.Array
    words: Words
    languages: dict[int, str]

    @classmethod
    def of(cls, column: pa.Array, words: Words) -> "Texts":
        return cls(column, words, languages_of(column, words))

    @property
    def filled(self) -> int:
        """How many have a word."""
        return int((self.words.lengths > 0).sum())

    def profile(self) -> Profile:
        """What a version that is trained on them remembers."""
        profile = profile_of(self.words)
        features, _ = fourier_features(self.words, profile.frequencies, profile.words)
        place = np.round(features.mean(axis=0), 6).tolist() if len(features) else []
        return replace(profile, languages=counted(self.languages), place=place, placed=len(features))

    def show(self, rows: list[int]) -> list[str]:
        """A few of them, one line each."""
        return [repr(shorten(self.column[row].as_py(), 100)) for row in rows[:SHOWN_ROWS]]


def text_drift_gates(
    texts: Mapping[str, Texts], live: Mapping[str, Profile], version: int, options: ValidationOptions
) -> list[Gate]:
    """Makes the gates `drift/<text>/…`: `length`, `unseen_words`, `words`, `language`, `embedding`.

    What the live version does not remember, since it was pushed before there was such a gate, is told by a warning: the
    version that replaces it will.

    Args:
        texts: text feature → the train split's.
        live: text feature → what the live version remembers of its own.
        version: the live version's number.
        options: thresholds, allowance for noise, and severity.
    """
    gates = []
    for name, own in texts.items():
        profile = live.get(name)
        if profile is None and live:
            why = f"The text is new: version {version} was trained without `{name}`."
            gates.append(Gate(f"drift/{name}", True, None, None, why, options.severity.drift))
        elif profile is None:
            gates.append(_unknown(f"drift/{name}", f"the texts of `{name}`", version))
        else:
            gates += _gates(name, own, profile, version, options)
    return gates


def _gates(name: str, texts: Texts, profile: Profile, version: int, options: ValidationOptions) -> Iterator[Gate]:
    severity, rows = options.severity.drift, texts.filled
    noise = options.noise_allowance / max(min(rows, profile.texts), 1) ** 0.5
    words = texts.words
    value = jensen_shannon_divergence(length_histogram(words), np.array(profile.lengths)) if rows else 1.0
    limit = options.drift.text_length + noise
    why = (
        f"Jensen-Shannon divergence of the numbers of words in a text between the train splits of this run "
        f"({_mean(len(words.ids), rows)} on average) and of the live version {version} "
        f"({_mean(profile.words, profile.texts)}) is {value:.3f}; allowed is {limit:.3f}."
    )
    yield Gate(f"drift/{name}/length", value <= limit, value, limit, why, severity)
    value, examples = unseen_share(words, profile) if rows else (1.0, [])
    expected = profile.expected_unseen
    limit = min(expected + options.drift.unseen_words + noise, 1.0)
    why = (
        f"{value:.2%} of the words are not among those that the live version {version} was trained on; allowed is "
        f"{limit:.2%} (of which {expected:.2%} is what new texts of the same kind bring)."
    )
    if value > limit or not rows:
        why += f" Most frequent: {', '.join(examples) or 'there is no word at all'}."
    yield Gate(f"drift/{name}/unseen_words", bool(rows) and value <= limit, value, limit, why, severity)
    if not rows:
        return  # the gates above do not pass
    if not profile.counts:
        yield _unknown(
            f"drift/{name}/words", f"how frequent the words of `{name}` were, of languages and topics", version
        )
        return
    value, by_chance, more = word_divergence(words, profile)
    limit = options.drift.words + options.noise_allowance * by_chance  # the words of one text do not come singly
    why = (
        f"Jensen-Shannon divergence of the words' shares between the train splits of this run and of the live version "
        f"{version} is {value:.3f}; allowed is {limit:.3f}."
    )
    if value > limit:
        why += f" More frequent than there: {', '.join(more)}."
    yield Gate(f"drift/{name}/words", value <= limit, value, limit, why, severity)
    yield _language_gate(f"drift/{name}/language", texts, profile, version, options)
    yield _embedding_gate(f"drift/{name}/embedding", texts, profile, version, options)


def _language_gate(name: str, texts: Texts, profile: Profile, version: int, options: ValidationOptions) -> Gate:
    ours, theirs, severity = counted(texts.languages), profile.languages, options.severity.drift
    number, total = sum(ours.values()), sum(theirs.values())
    limit = options.drift.language + options.noise_allowance / max(min(number, total), 1) ** 0.5
    if not number or not total:
        why = "One side has no text that is long enough to tell its language, so it is not judged."
        return Gate(name, True, None, limit, why, severity)
    apart = {code: ours.get(code, 0) / number - theirs.get(code, 0) / total for code in {*ours, *theirs}}
    code = max(sorted(apart), key=lambda each: abs(apart[each]))
    value = abs(apart[code])
    why = (
        f"{ours.get(code, 0) / number:.2%} of {number:,} texts are in the language `{code}`, with version {version} it "
        f"was {theirs.get(code, 0) / total:.2%}; allowed are {limit:.2%} of difference."
    )
    grown = max(sorted(apart), key=lambda each: apart[each])
    rows = texts.show([row for row, each in texts.languages.items() if each == grown])
    return Gate(name, value <= limit, value, limit, why, severity, [f"{grown}: {row}" for row in rows])


def _embedding_gate(name: str, texts: Texts, profile: Profile, version: int, options: ValidationOptions) -> Gate:
    """Of chance, the discrepancy of clean data stays below half the root of what is taken off."""
    features, places = fourier_features(texts.words, profile.frequencies, profile.words)
    mean, live = features.mean(axis=0), np.array(profile.place)
    value, by_chance = discrepancy(mean, live, len(features), profile.placed)
    limit = options.drift.embedding + options.noise_allowance * by_chance / 2
    why = (
        f"Maximum mean discrepancy of where {len(features):,} texts lie, by the words that they hold together, from "
        f"where those of the live version {version} did is {value:.3f}; allowed is {limit:.3f}."
    )
    # The witness function of Gretton et al. 2012, section 2.3: greatest where texts are most unlike those before.
    strange = np.argsort(-(features @ (mean - live)), kind="stable")
    return Gate(
        name,
        value <= limit,
        value,
        limit,
        why,
        options.severity.drift,
        texts.show(places[strange[:SHOWN_ROWS]].tolist()),
    )


def _unknown(name: str, what: str, version: int) -> Gate:
    why = (
        f"Version {version} keeps no record of {what}: it was pushed before there was one. So this cannot be measured "
        "now, and is told without blocking; the version that replaces it keeps one."
    )
    return Gate(name, False, None, None, why, "warn")


def _mean(words: int, texts: int) -> str:
    return f"{words / texts:.1f}" if texts else "none"
