"""Deals rows out to splits by what they say, not by where they stand.

The same data gives the same splits on every machine, in any order and on any number of workers, and a row that is added
moves no other.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from components.example_gen.options import ExampleGenOptions

_SEPARATOR = "\x1f"


def normalize(text: str) -> str:
    """Folds what a reader would not see as a difference: compatibility forms, case, white space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        return " ".join(text.split())
    return " ".join(text.lower().split())


def row_keys(features: dict[str, pa.Array], group: pa.Array | None, options: ExampleGenOptions) -> Iterator[str]:
    """What decides on each row's split.

    The value of `split_by` if that is set; else the longest of the row's texts, normalized, so that a review stays on
    one side under whatever title; else, in a row without text, everything that the model sees of it.
    """
    if group is not None:
        yield from (value for value in group.to_pylist())
        return
    columns = [features[column.name].to_pylist() for column in options.of_type("text")]
    others = [features[column.name].to_pylist() for column in options.of_type("number", "category")]
    num_rows = len(next(iter(features.values())))
    for at in range(num_rows):
        texts = [normalize(column[at]) for column in columns if column[at] is not None]
        if texts:
            yield texts[0] if len(texts) == 1 else max(texts, key=lambda text: (len(text), text))
        else:
            yield _SEPARATOR.join("" if column[at] is None else str(column[at]) for column in others)


def assign(keys: Iterator[str], weights: Sequence[int]) -> np.ndarray:
    """Places each key in a split: BLAKE2b of the key, modulo the sum of the weights.

    Args:
        keys: what decides on each row.
        weights: one positive integer per split.

    Returns:
        int64 `(rows,)`: the index of each row's split.
    """
    total = sum(weights)
    buckets = [int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % total for key in keys]
    return np.searchsorted(np.cumsum(weights), np.array(buckets, np.int64), side="right")
