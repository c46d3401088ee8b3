"""Where texts lie: a vector of each text's words, and how far two sets of such vectors are apart.

No model is asked, so that a drift is seen before anything is trained and whatever the model is. A word's vector is 64
random signs by its hash (Achlioptas 2003), a text's is the mean of its words', frequent ones counting less
(a / (a + p), Arora et al. 2017), at length 1. The distance is the maximum mean discrepancy (Gretton et al. 2012) under
a Gaussian kernel, by random Fourier features (Rahimi and Recht 2007), so that a version remembers 256 numbers.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
from scipy import sparse

from components.data_gate.words import Words

MAX_TEXTS = 5_000
"""Texts that are looked at, evenly spread over the split."""

_SIGNS, _FEATURES = 64, 256
_COMMON = 1e-3


def fourier_features(words: Words, counts: Mapping[str, int], total: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps texts to where they lie.

    Args:
        words: of the texts.
        counts: word → how often it occurs where the frequencies come from.
        total: words there.

    Returns:
        float `(texts, 256)`, of which a mean is a place in the kernel's space; and int `(texts,)`, which texts these
        are: some of those that have a word.
    """
    places = np.flatnonzero(words.lengths > 0)
    places = places[np.linspace(0, len(places) - 1, min(MAX_TEXTS, len(places))).astype(int)]
    if not len(places):
        return np.zeros((0, _FEATURES)), places
    part = words.take(places)
    used, ids = np.unique(part.ids, return_inverse=True)
    names = [words.vocabulary[int(at)].as_py() for at in used]
    hashes = b"".join(hashlib.blake2b(name.encode(), digest_size=_SIGNS // 8).digest() for name in names)
    signs = np.unpackbits(np.frombuffer(hashes, np.uint8).reshape(-1, _SIGNS // 8), axis=1) * 2.0 - 1
    shares = np.array([counts.get(name, 1) for name in names]) / max(total, 1)
    weights = _COMMON / (_COMMON + shares)
    vectors = sparse.csr_matrix((weights[ids], ids, part.offsets), shape=(len(places), len(used))) @ signs
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    random = np.random.default_rng(0)
    directions, phases = random.normal(size=(_SIGNS, _FEATURES)), random.uniform(0, 2 * np.pi, _FEATURES)
    return np.sqrt(2 / _FEATURES) * np.cos(vectors @ directions + phases), places


def discrepancy(these: np.ndarray, those: np.ndarray, number: int, other_number: int) -> tuple[float, float]:
    """How far two means of Fourier features are apart, less what is to be expected of chance.

    Args:
        these: float `(256,)`: a mean over `number` texts.
        those: over `other_number`.
        number: of texts.
        other_number: of texts.

    Returns:
        the discrepancy, 0 (the same) to about 1; and the root of what was taken off its square.
    """
    by_chance = (1 / number + 1 / other_number) * max(1 - float(those @ those), 0.0)
    square = float(np.square(these - those).sum())
    return max(square - by_chance, 0.0) ** 0.5, by_chance**0.5
