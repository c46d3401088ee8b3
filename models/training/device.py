"""The machine that a training runs on."""

import contextlib
import logging
from collections.abc import Iterator

import keras
import tensorflow as tf

_log = logging.getLogger("attention")
_notices = logging.getLogger("attention.progress")


def require_keras_3() -> None:
    """Refuses to go on with a Keras that the models are not made for.

    Raises:
        RuntimeError: Keras is older, or runs on another backend than TensorFlow, which the SavedModel needs.
    """
    if not keras.__version__.startswith("3.") or keras.config.backend() != "tensorflow":
        raise RuntimeError(
            "Training needs Keras 3 on TensorFlow; set KERAS_BACKEND=tensorflow. "
            f"Received: keras {keras.__version__} on {keras.config.backend()}"
        )


def grow_gpu_memory() -> bool:
    """Lets GPU memory grow with the need instead of taking all of it.

    Returns:
        whether there is a GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            _log.info("%s is in use already; its memory setting stays as it is", gpu.name)
    return bool(gpus)


@contextlib.contextmanager
def precision(mixed: bool, has_gpu: bool) -> Iterator[None]:
    """Builds what is built inside with mixed precision, where it is asked for and pays.

    Args:
        mixed: whether the config asks for it.
        has_gpu: without one, float32 stays: half precision is slower on a CPU.
    """
    if not mixed:
        yield
        return
    if not has_gpu:
        _notices.warning("`train.mixed_precision` pays on a GPU only, and there is none: training in float32")
        yield
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
