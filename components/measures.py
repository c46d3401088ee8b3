"""How far two counted distributions are apart, from 0 (the same) to 1 (nothing in common), as TFDV measures it."""

import math

import numpy as np


def jensen_shannon_divergence(these: np.ndarray, those: np.ndarray) -> float:
    """In bits: Lin 1991, eq. 4.1.

    Args:
        these, those: counts `(bins,)`.
    """
    p, q = these / max(these.sum(), 1), those / max(those.sum(), 1)
    middle = (p + q) / 2

    def entropy(shares: np.ndarray) -> float:
        return -math.fsum(share * math.log2(share) for share in shares if share > 0)

    return max(entropy(middle) - (entropy(p) + entropy(q)) / 2, 0.0)


def infinity_norm(these: np.ndarray, those: np.ndarray) -> float:
    """L-infinity distance: the greatest difference of a bin's shares.

    Args:
        these, those: counts `(bins,)`.
    """
    return float(np.abs(these / max(these.sum(), 1) - those / max(those.sum(), 1)).max(initial=0.0))
