import keras

from models.heads.single_label import single_label


def test_logits_are_float32_after_half_precision():
    logits = single_label(keras.Input([4], dtype="float16"), 3, 0.1)
    assert logits.shape == (None, 3)
    assert logits.dtype == "float32"
