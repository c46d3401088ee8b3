"""What is kept of each row to find those that say the same or nearly so: a few numbers in place of its texts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data_gate.table import Table, read_pieces, read_rows, row_keys
from components.data_gate.words import Words, words_of

SHINGLE = 3
MIN_WORDS = 8
"""Shorter texts resemble each other by chance."""

_BANDS, _BAND_ROWS = 8, 4


@dataclass(frozen=True)
class Fingerprints:
    """The first rows of one split.

    Attributes:
        files: that the split lies in.
        features: name → `text`, `category` or `number`.
        types: those of features and labels.
        labels: label of classes → its values, strings `(rows,)`; empty is missing.
        keys: uint64 `(rows,)`: rows with the same say the same in every feature.
        lengths: int32 `(rows,)`: words of a row's longest text; 0 where no feature is a text.
        bands: uint32 `(8, rows)`: two texts of at least `MIN_WORDS` words that share one may be nearly the same.
        whole: whether the split has no more rows.
    """

    files: list[str]
    features: dict[str, str]
    types: dict[str, str]
    labels: dict[str, pa.DictionaryArray]
    keys: np.ndarray
    lengths: np.ndarray
    bands: np.ndarray
    whole: bool

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return len(self.keys)

    def read(self, rows: np.ndarray) -> Table:
        """Some of the rows, features and labels: int64 `(rows,)`, ascending."""
        return read_rows(self.files, self.types, rows)

    def describe(self, rows: np.ndarray, first: str) -> list[str]:
        """Some of the rows as `name=value` pairs, the named column first."""
        places, at = np.unique(rows, return_inverse=True)
        table = self.read(places)
        return [table.describe(int(place), first) for place in at]


def fingerprints_of(files: list[str], features: Mapping[str, str], labels: Mapping[str, str]) -> Fingerprints:
    """Reads the first rows of a split, a piece at a time.

    Args:
        files: gzipped TFRecords of tf.Example.
        features: name → `text`, `category` or `number`.
        labels: label name → `category`, `categories` or `number`.
    """
    classes = {name: kind for name, kind in labels.items() if kind != "number"}
    keys, lengths, bands = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)], [np.zeros((_BANDS, 0), np.uint32)]
    values: dict[str, list[pa.Array]] = {name: [] for name in classes}
    whole = True
    for piece in read_pieces(files, {**features, **classes}):
        keys.append(_hashes(row_keys(piece, features)))
        texts = longest_texts(piece, features)
        of_piece = np.zeros((_BANDS, piece.num_rows), np.uint32)
        if texts is None:
            lengths.append(np.zeros(piece.num_rows, np.int32))
        else:
            (words,) = words_of([texts])
            lengths.append(words.lengths.astype(np.int32))
            shingles, offsets = shingles_of(words)
            long = np.flatnonzero(np.diff(offsets))
            if len(long):
                of_piece[:, long] = _bands_of(shingles, offsets[:-1][long])
        bands.append(of_piece)
        for name, parts in values.items():
            parts.append(pc.fill_null(piece.columns[name], "").dictionary_encode())
        whole = piece.whole
    joined = {name: _unified(parts) for name, parts in values.items()}
    return Fingerprints(
        files,
        dict(features),
        {**features, **labels},
        joined,
        np.concatenate(keys),
        np.concatenate(lengths),
        np.concatenate(bands, axis=1),
        whole,
    )


def _unified(parts: list[pa.DictionaryArray]) -> pa.DictionaryArray:
    if not parts:
        return pa.array([], pa.string()).dictionary_encode()
    return pa.chunked_array(parts).unify_dictionaries().combine_chunks()


def longest_texts(table: Table, types: Mapping[str, str]) -> pa.Array | None:
    """Of each row the longest of its texts: string `(rows,)`; None where no feature is a text."""
    texts = [table.columns[name] for name, kind in types.items() if kind == "text"]
    if not texts:
        return None
    lengths = np.stack([pc.fill_null(pc.binary_length(text), -1).to_numpy(zero_copy_only=False) for text in texts])
    return pc.choose(pa.array(lengths.argmax(axis=0)), *texts) if len(texts) > 1 else texts[0]


def shingles_of(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Three words each, as numbers.

    Returns:
        uint64 `(shingles,)`, and int64 `(texts + 1,)`, where those of each text begin; texts of fewer than `MIN_WORDS`
        words have none.
    """
    ids = _hashes(words.vocabulary)[words.ids]
    count = max(len(ids) - SHINGLE + 1, 0)
    mixed = np.zeros(count, np.uint64)
    for step in range(SHINGLE):
        mixed = (mixed ^ ids[step : step + count]) * np.uint64(0x9E3779B97F4A7C15)
    long = words.lengths >= MIN_WORDS
    own = np.where(long, words.lengths - SHINGLE + 1, 0)
    inside = np.repeat(long, words.lengths)
    ends = np.zeros(len(ids) + 1, bool)
    for step in range(1, SHINGLE):
        ends[np.maximum(words.offsets[1:] - step, 0)] = True
    kept = (inside & ~ends[:-1])[:count]
    return mixed[kept], np.concatenate([[0], np.cumsum(own)])


def _bands_of(shingles: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """MinHash with banding (Broder 1997; Leskovec et al., Mining of Massive Datasets, section 3.4).

    Returns:
        uint32 `(8, texts)`: two texts have the same number if their smallest hashes in the band are the same.
    """
    generator = np.random.default_rng(0)
    bands = np.zeros((_BANDS, len(starts)), np.uint64)
    for band in bands:
        for _ in range(_BAND_ROWS):
            salt, factor = generator.integers(1, 2**63, 2, dtype=np.uint64)
            hashed = ((shingles ^ salt) * (factor | np.uint64(1))) >> np.uint64(20)
            band[:] = (band ^ np.minimum.reduceat(hashed, starts)) * np.uint64(0x9E3779B97F4A7C15)
    return (bands >> np.uint64(32)).astype(np.uint32)


def _hashes(texts: pa.Array) -> np.ndarray:
    """uint64 `(texts,)`."""
    values = texts.cast(pa.binary()).to_pylist()
    return np.frombuffer(b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in values), np.uint64)
