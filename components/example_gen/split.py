"""Deals rows out to splits by what they say, not by where they stand.

The same data gives the same splits on every machine, in any order and on any number of workers, and a row that is added
moves no other.
"""

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.options import ExampleGenOptions

_SEPARATOR = "\x1f"
_REPLAY_SEED = 1 << 64
"""Added to the split's own seed, which is less: whether a row is replayed has nothing to do with its split."""


def normalize(texts: pa.Array) -> pa.Array:
    """Folds what a reader would not see as a difference: compatibility forms, case, white space.

    Args:
        texts: large_string `(rows,)`.

    Returns:
        string `(rows,)`; null stays null.
    """
    texts = texts.cast(pa.string())
    words = pc.ascii_split_whitespace(pc.ascii_trim_whitespace(pc.ascii_lower(texts)))
    folded = pc.binary_join(words, " ")
    others = pc.invert(pc.fill_null(pc.string_is_ascii(texts), True))
    if not pc.any(others).as_py():
        return folded
    # Arrow has no case folding, so what is not ASCII takes Python's slower way.
    return pc.replace_with_mask(
        folded, others, pa.array(map(_normalize_unicode, texts.filter(others).to_pylist()), pa.string())
    )


def _normalize_unicode(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def row_keys(features: dict[str, pa.Array], group: pa.Array | None, options: ExampleGenOptions) -> pa.Array:
    """What decides on each row's split.

    The value of `split_by` if that is set; else the longest of the row's texts, normalized, so that a review stays on
    one side under whatever title; else, in a row without text, everything that the model sees of it.

    Args:
        features: as `Checked.features`.
        group: as `Checked.group`.
        options: tells the features' types.

    Returns:
        string or large_string `(rows,)` without nulls.
    """
    if group is not None:
        return group
    texts = [normalize(features[column.name]) for column in options.of_type("text")]
    if len(texts) > 1:
        lengths = np.stack([_lengths(text) for text in texts])
        keys = pc.choose(pa.array(lengths.argmax(axis=0)), *texts)
    else:
        keys = texts[0] if texts else pa.nulls(len(next(iter(features.values()))), pa.string())
    return pc.replace_with_mask(keys, keys.is_null(), _keys_without_text(features, keys.is_null(), options))


def _lengths(texts: pa.Array) -> np.ndarray:
    return pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False)


def _keys_without_text(features: dict[str, pa.Array], rows: pa.Array, options: ExampleGenOptions) -> pa.Array:
    columns = [features[column.name].filter(rows).to_pylist() for column in options.of_type("number", "category")]
    num_rows = pc.sum(rows).as_py() or 0
    values = zip(*columns, strict=True) if columns else [()] * num_rows
    keys = [_SEPARATOR.join("" if value is None else str(value) for value in row) for row in values]
    return pa.array(keys, pa.string())


def assign(keys: pa.Array, weights: Sequence[int], seed: int = 0) -> np.ndarray:
    """Places each key in a split: BLAKE2b of the key's UTF-8, salted by the seed, modulo the sum of the weights.

    Args:
        keys: string or large_string `(rows,)`.
        weights: one positive integer per split.
        seed: from 0; each deals the keys out anew.

    Returns:
        int64 `(rows,)`: the index of each row's split.
    """
    total = sum(weights)
    salt = seed.to_bytes(hashlib.blake2b.SALT_SIZE, "big")
    texts = keys.cast(pa.large_binary()).to_pylist()
    hashes = (hashlib.blake2b(text, digest_size=8, salt=salt).digest() for text in texts)
    buckets = [int.from_bytes(digest, "big") % total for digest in hashes]
    return np.searchsorted(np.cumsum(weights), np.array(buckets, np.int64), side="right")


def choose_replayed(features: dict[str, pa.Array], options: ExampleGenOptions) -> np.ndarray:
    """Chooses the share `replay` of the rows by what they say, also where `split_by` groups them.

    Args:
        features: as `Checked.features`.
        options: the share, and the features' types.

    Returns:
        bool `(rows,)`.
    """
    share = round(options.replay * 1_000_000)
    keys = row_keys(features, None, options)
    return assign(keys, (share, 1_000_000 - share), options.split_seed + _REPLAY_SEED) == 0
