"""Texts as numbered words, and what a version remembers of the words that it was trained on."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.measures import jensen_shannon_divergence

MAX_VOCABULARY = 50_000
_TEXTS_AT_ONCE = 20_000
"""Texts are split so many at a time: what a split leaves behind takes ten times as much memory as the numbers."""
_NO_WORD = r"[^\p{L}\p{N}]+"
_WORD_OF_ONE_CHARACTER = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
"""Scripts that put no space between words."""


@dataclass(frozen=True)
class Words:
    """The words of texts, folded in case; where a script puts no space between words, each character is one.

    Attributes:
        ids: int32 `(words,)`, of all texts one behind the other.
        offsets: int64 `(texts + 1,)`: text i has the words `ids[offsets[i]:offsets[i + 1]]`.
        vocabulary: string `(ids,)`.
    """

    ids: np.ndarray
    offsets: np.ndarray
    vocabulary: pa.Array

    @property
    def lengths(self) -> np.ndarray:
        """int64 `(texts,)`: words of each text."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> np.ndarray:
        """int64 `(words,)`: the text that each word stands in."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)

    def part(self, start: int, stop: int) -> "Words":
        """The texts from `start` to before `stop`, with the same numbers."""
        first, last = self.offsets[start], self.offsets[stop]
        return Words(self.ids[first:last], self.offsets[start : stop + 1] - first, self.vocabulary)

    def take(self, rows: np.ndarray) -> "Words":
        """Some of the texts, with the same numbers."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Words(self.ids[places], offsets, self.vocabulary)


def words_of(texts: Sequence[pa.Array]) -> list[Words]:
    """Numbers the words of several columns by one vocabulary.

    Args:
        texts: string `(rows,)` each.

    Returns:
        In the same order.
    """
    joined = pa.chunked_array(list(texts), pa.string())
    starts = range(0, max(len(joined), 1), _TEXTS_AT_ONCE)
    parts = [_split(joined.slice(start, _TEXTS_AT_ONCE).combine_chunks()) for start in starts]
    encoded = pa.chunked_array([words for words, _ in parts]).unify_dictionaries()
    ids = np.concatenate([chunk.indices.to_numpy(zero_copy_only=False) for chunk in encoded.chunks])
    vocabulary = encoded.chunk(0).dictionary
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([lengths for _, lengths in parts]), dtype=np.int64)])
    nothing = pc.index(vocabulary, "").as_py()
    if nothing >= 0:  # an empty text is split into one empty word
        kept = ids != nothing
        offsets = np.concatenate([[0], np.cumsum(kept)])[offsets]
        ids = ids[kept]
    whole = Words(ids, offsets, vocabulary)
    borders = np.cumsum([0, *map(len, texts)])
    return [whole.part(start, stop) for start, stop in itertools.pairwise(borders)]


def _split(texts: pa.Array) -> tuple[pa.DictionaryArray, np.ndarray]:
    """The words of some texts one behind the other, and how many each text has."""
    spaced = pc.replace_substring_regex(pc.utf8_lower(pc.fill_null(texts, "")), _WORD_OF_ONE_CHARACTER, r" \1 ")
    split = pc.split_pattern(pc.utf8_trim(pc.replace_substring_regex(spaced, _NO_WORD, " "), " "), " ")
    return split.flatten().dictionary_encode(), np.diff(split.offsets.to_numpy().astype(np.int64))


@dataclass(frozen=True)
class Profile:
    """What is remembered of the texts of one feature's train split.

    Attributes:
        texts: how many had a word.
        words: how many words they had.
        once: how many words occurred once.
        lengths: texts by their number of words: 1, 2 to 3, 4 to 7, …
        vocabulary: the most frequent words.
        unlisted: occurrences of all other words.
        counts: occurrences of each word of `vocabulary`; this and what follows is empty in a profile of old times.
        languages: ISO 639 code → texts, of those that were looked at.
        place: mean of the texts' Fourier features; see `embedding`.
        placed: how many texts that is the mean of.
    """

    texts: int
    words: int
    once: int
    lengths: list[int]
    vocabulary: list[str]
    unlisted: int
    counts: list[int] = field(default_factory=list)
    languages: dict[str, int] = field(default_factory=dict)
    place: list[float] = field(default_factory=list)
    placed: int = 0

    @property
    def frequencies(self) -> dict[str, int]:
        """Word → how often it occurs."""
        return dict(zip(self.vocabulary, self.counts, strict=True)) if self.counts else {}

    @property
    def expected_unseen(self) -> float:
        """Share of words in new texts of the same kind that are not in `vocabulary`.

        Good 1953: words never seen have together the share that words seen once have.
        """
        return (self.once + self.unlisted) / self.words if self.words else 1.0


def profile_of(words: Words) -> Profile:
    """Sums up the texts of one feature."""
    counts = np.bincount(words.ids, minlength=len(words.vocabulary))
    order = np.argsort(-counts, kind="stable")
    listed = order[: min(MAX_VOCABULARY, int((counts > 0).sum()))]
    return Profile(
        texts=int((words.lengths > 0).sum()),
        words=len(words.ids),
        once=int((counts == 1).sum()),
        lengths=length_histogram(words).tolist(),
        vocabulary=words.vocabulary.take(pa.array(listed)).to_pylist(),
        unlisted=int(len(words.ids) - counts[listed].sum()),
        counts=counts[listed].tolist(),
    )


def length_histogram(words: Words) -> np.ndarray:
    """int64 `(16,)`: texts by their number of words, each bin twice as wide as the one before it."""
    lengths = words.lengths[words.lengths > 0]
    return np.bincount(np.minimum(np.log2(np.maximum(lengths, 1)).astype(int), 15), minlength=16)


def word_divergence(words: Words, profile: Profile, most: int = 2000) -> tuple[float, float, list[str]]:
    """How far the frequencies of words are from a profile's, over its most frequent words and all others as one.

    Args:
        words: of the texts.
        profile: with `counts`.
        most: words that are told apart.

    Returns:
        Jensen-Shannon divergence, less what was taken off; the `(k - 1) / (8 ln 2) (1/n + 1/m)` that k shares estimated
        from n and m words have by chance, which was, for the divergence is about the sum of `(p - q)^2 / (8 p ln 2)`;
        and the words that became more frequent.
    """
    ours = np.bincount(words.ids, minlength=len(words.vocabulary))
    names, theirs = profile.vocabulary[:most], np.array(profile.counts[:most])
    found = pc.index_in(pa.array(names, pa.string()), words.vocabulary)
    places = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    counts = np.where(places >= 0, ours[places], 0) if len(ours) else np.zeros(len(names), int)
    number, total = max(len(words.ids), 1), max(profile.words, 1)
    value = jensen_shannon_divergence(np.append(counts, number - counts.sum()), np.append(theirs, total - theirs.sum()))
    by_chance = len(names) / (8 * math.log(2)) * (1 / number + 1 / total)
    moved = np.argsort(counts / number - theirs / total, kind="stable")
    return max(value - by_chance, 0.0), by_chance, [names[at] for at in moved[::-1][:5]]


def unseen_share(words: Words, profile: Profile) -> tuple[float, list[str]]:
    """Share of the words that a profile does not list, and the most frequent of them."""
    counts = np.bincount(words.ids, minlength=len(words.vocabulary))
    known = pc.is_in(words.vocabulary, pa.array(profile.vocabulary, pa.string())).to_numpy(zero_copy_only=False)
    new = np.where(known, 0, counts)
    most = [at for at in np.argsort(-new, kind="stable")[:5] if new[at]]
    return float(new.sum() / max(len(words.ids), 1)), words.vocabulary.take(pa.array(most, pa.int64())).to_pylist()


def write_profiles(path: Path, profiles: Mapping[str, Profile]) -> None:
    """Writes the profiles of all text features."""
    text = json.dumps({name: asdict(profile) for name, profile in profiles.items()}, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_profiles(path: Path) -> dict[str, Profile]:
    """Reads what `write_profiles` wrote; empty where there is no file."""
    if not path.exists():
        return {}
    return {name: Profile(**fields) for name, fields in json.loads(path.read_text(encoding="utf-8")).items()}
