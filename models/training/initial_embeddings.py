"""Vectors that word pieces start from: which pieces stand near each other in the train split.

Rare words then begin beside words of their kind, and not at a random place of which a small table could not move them.
"""

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

_WINDOW = 4
_CONTEXT_SMOOTHING = 0.75
_STDDEV = 0.15
_DENSE_SIZE = 1000
"""Up to this vocabulary all singular vectors are computed: in a small one ARPACK runs dry and goes on from chance."""

_MAX_TOKENS = 10_000_000
"""Tokens of one feature that are counted; more do not change the vectors of pieces that occur at all often."""


def cooccurrence_embeddings(texts: list[tf.RaggedTensor], vocabulary_size: int, hidden_dim: int) -> np.ndarray:
    """Factorizes the positive pointwise mutual information of word pieces and their neighbours.

    PPMI with smoothed contexts and a truncated SVD, whose singular values are split evenly (Levy, Goldberg and Dagan
    2015, eq. 3, 5 and 10); a neighbour at distance d counts 1/d.

    Args:
        texts: the word pieces of each text feature: int `(rows, tokens)`.
        vocabulary_size: word pieces there are.
        hidden_dim: size of a vector.

    Returns:
        float32 `(vocabulary_size, hidden_dim)`, of standard deviation 0.15; zero for pieces without neighbours, and in
        dimensions beyond the rank. The same texts give the same numbers.
    """
    counts = sp.csr_array((vocabulary_size, vocabulary_size), dtype=np.float64)
    for text in texts:
        ids = text.flat_values[:_MAX_TOKENS].numpy()
        rows = text.value_rowids()[:_MAX_TOKENS].numpy()
        for distance in range(1, _WINDOW + 1):
            same_row = rows[:-distance] == rows[distance:]
            pairs = ids[:-distance][same_row], ids[distance:][same_row]
            weights = np.full(len(pairs[0]), 1 / distance)
            counts = counts + sp.coo_array((weights, pairs), shape=counts.shape).tocsr()
    ppmi = _ppmi(counts + counts.T)
    vectors = np.zeros((vocabulary_size, hidden_dim), np.float32)
    rank = min(hidden_dim, vocabulary_size - 1, int(np.count_nonzero(np.diff(ppmi.indptr))))
    if rank < 1:
        return vectors
    with threadpool_limits(1, user_api="blas"):  # many small products: threads only wait for each other, for a minute
        if vocabulary_size <= _DENSE_SIZE:
            left, singular_values, _ = np.linalg.svd(ppmi.toarray())
            left, singular_values = left[:, :rank], singular_values[:rank]
        else:
            left, singular_values, _ = svds(ppmi, k=rank, v0=np.ones(vocabulary_size), rng=np.random.default_rng(0))
    vectors[:, :rank] = left * np.sqrt(np.maximum(singular_values, 0))
    vectors[np.diff(ppmi.indptr) == 0] = 0  # up to rounding they are already
    return vectors * (_STDDEV / max(vectors.std(), 1e-12))


def _ppmi(counts: sp.csr_array) -> sp.csr_array:
    """max(0, log(p(piece, context) / (p(piece) p(context)))), where it is above 0."""
    of_piece = np.asarray(counts.sum(axis=1)).ravel()
    of_context = of_piece**_CONTEXT_SMOOTHING
    of_context /= max(of_context.sum(), 1e-12)
    pairs = counts.tocoo()
    pmi = np.log(pairs.data / (of_piece[pairs.row] * of_context[pairs.col]))
    kept = pmi > 0
    return sp.csr_array((pmi[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape)
