"""One attention, taught by two losses."""

from keras import ops


def split_teaching(attention, in_context):
    """Copies of an attention, of which two losses teach different parts.

    Tokens that have read each other hold the same, whichever of them is attended: which of them it is, only the second
    copy teaches. How much all of them have together, beside the tokens that hold nothing but themselves, only the first
    does: it is what the answer depends on.

    Args:
        attention: float32 `(batch, tokens)`, sum 1 a row.
        in_context: bool `(batch, tokens)`; True marks a token that has read others, of which each row attends to one.

    Returns:
        two tensors of the values of `attention`.
    """
    share = ops.sum(ops.where(in_context, attention, 0.0), axis=1, keepdims=True)
    shares = ops.where(in_context, share, attention)
    within = ops.where(in_context, attention / ops.maximum(share, 1e-30), 1.0)
    return ops.stop_gradient(within) * shares, within * ops.stop_gradient(shares)
