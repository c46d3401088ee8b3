"""How much of each input token reached what was pooled, through all layers of an encoder."""

from collections.abc import Sequence

from keras import ops


def rollout(attention, layers: Sequence):
    """Follows the attention back to the input tokens.

    `a Ã_n … Ã_1` with `Ã = 0.5 A + 0.5 I` (Abnar and Zuidema 2020, section 3, eq. 1), A being the mean of a layer's
    heads and `a` the weights of the pooling above the last layer. From left to right: no two matrices are multiplied.

    Args:
        attention: float `(batch, tokens)`, the weights of the pooling.
        layers: from the first on, each float `(batch, heads, queries, keys)` with rows of sum 1.

    Returns:
        float `(batch, tokens)`, in sum what `attention` is.
    """
    for weights in reversed(layers):
        attention = 0.5 * attention + 0.5 * ops.einsum("bq,bqk->bk", attention, ops.mean(weights, axis=1))
    return attention
