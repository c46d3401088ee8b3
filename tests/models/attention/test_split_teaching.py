import numpy as np
import tensorflow as tf

from models.attention.split_teaching import split_teaching

SCORES = [[1.0, 2.0, 0.5, -1.0], [0.0, -80.0, 90.0, 0.0]]
IN_CONTEXT = np.array([[True, True, False, False], [True, False, False, True]])


def taught():
    """Attention of two tokens that read each other and two that did not, and what each copy teaches its scores."""
    scores = tf.Variable(SCORES)
    pull = tf.constant([[1.0, 3.0, 5.0, -2.0]])
    with tf.GradientTape(persistent=True) as tape:
        attention = tf.nn.softmax(scores)
        copies = split_teaching(attention, IN_CONTEXT)
        sums = [tf.reduce_sum(copy * pull) for copy in (attention, *copies)]
    return np.asarray(attention), copies, [np.asarray(tape.gradient(each, scores)) for each in sums]


def test_both_copies_hold_the_attention():
    attention, copies, _ = taught()
    for copy in copies:
        np.testing.assert_allclose(copy, attention, rtol=1e-5)


def test_each_copy_teaches_its_part_and_both_together_all():
    attention, _, (whole, of_answer, of_words) = taught()
    np.testing.assert_allclose(of_answer + of_words, whole, rtol=1e-4, atol=1e-6)
    first, second = attention[0, :2]
    # Within the two: softmax of their scores, pulled by 1 and 3.
    within = second / (first + second)
    expected = (first + second) * within * (1 - within) * 2
    np.testing.assert_allclose(of_words[0], [-expected, expected, 0, 0], rtol=1e-4, atol=1e-6)
    # Their share: what moves it moves both in proportion.
    np.testing.assert_allclose(of_answer[0, 0] / of_answer[0, 1], first / second, rtol=1e-4)


def test_a_share_next_to_nothing_gives_no_nan():
    _, copies, gradients = taught()
    assert all(np.isfinite(each).all() for each in (*copies, *gradients))
