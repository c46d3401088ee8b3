"""L2: weights are pulled to 0 by the loss, beside or in place of the optimizer's own weight decay."""

import keras

PENALIZED = {"kernel", "embeddings"}
"""Names of the variables that are pulled: not biases, nor scale and centre of a norm."""


def penalize(network: keras.Model, l2: float) -> None:
    """Adds `l2` times the sum of the squares of kernels and embeddings to the loss.

    Args:
        network: built.
        l2: 0 leaves the network as it is.
    """
    if not l2:
        return
    for variable in network.trainable_variables:
        if variable.name in PENALIZED:
            variable.regularizer = keras.regularizers.L2(l2)
