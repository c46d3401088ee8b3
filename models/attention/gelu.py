"""The activation between the two layers of a feed-forward network."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="attention")
def gelu(x):
    """`x Φ(x)`, Φ being the normal distribution's (Hendrycks and Gimpel 2016), within 1e-6 of Keras's.

    Keras takes the complementary error function, which TensorFlow computes one number at a time on a CPU; the error
    function takes a third of that.
    """
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))
