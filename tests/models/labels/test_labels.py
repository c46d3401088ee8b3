"""What each type of label asks of the network, and how it answers."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.labels import Target, multi_label, ordinal, regression, single_label, type_of
from models.spec import MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead, TrainOptions

STARS = Target(("1", "2", "3"))
PLAIN = TrainOptions(label_smoothing=0.0)


def strings(tensor):
    return np.char.decode(tensor.numpy().astype(bytes)).tolist()


@pytest.mark.parametrize("head", [SingleLabelHead(), MultiLabelHead(), OrdinalHead(), RegressionHead()])
def test_logits_are_float32_after_half_precision(head):
    pooled = keras.Input([4], dtype="float16")
    logits = type_of(head).score(pooled, "logits", STARS)
    assert logits.dtype == "float32"


def test_single_label_names_the_most_probable_class():
    answer = single_label.answer(tf.math.log([[0.2, 0.5, 0.3]]), SingleLabelHead(), STARS)
    assert strings(answer["label"]) == ["2"]
    np.testing.assert_allclose(answer["probabilities"], [[0.2, 0.5, 0.3]], rtol=1e-5)
    assert strings(answer["classes"]) == [["1", "2", "3"]]


def test_multi_label_names_all_classes_that_reach_the_threshold_or_none():
    logits = tf.constant([[2.0, -1.0, 0.5], [-3.0, -3.0, -3.0]])
    topics = Target(("fit", "price", "size"))
    answer = multi_label.answer(logits, MultiLabelHead(separator=", "), topics)
    assert strings(answer["label"]) == ["fit, size", ""]
    np.testing.assert_allclose(answer["probabilities"], 1 / (1 + np.exp(-logits.numpy())), rtol=1e-5)
    shy = multi_label.answer(logits, MultiLabelHead(threshold=0.8), topics)
    assert strings(shy["label"]) == ["fit", ""]


def test_multi_label_loss_is_cross_entropy_of_each_class_by_itself():
    loss = multi_label.loss(PLAIN, Target(("a", "b")))(np.array([[1, 0]], np.int8), tf.constant([[0.0, 0.0]]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-5)
    focal = multi_label.loss(PLAIN.model_copy(update={"loss": "focal", "focal_gamma": 2.0}), Target(("a", "b")))
    np.testing.assert_allclose(focal(np.array([[1, 0]], np.int8), tf.constant([[0.0, 0.0]])), np.log(2) / 4, rtol=1e-5)


def test_ordinal_probabilities_are_differences_of_being_above():
    logits = tf.math.log([[0.8 / 0.2, 0.3 / 0.7]])  # above 1: 0.8, above 2: 0.3
    answer = ordinal.answer(logits, OrdinalHead(), STARS)
    np.testing.assert_allclose(answer["probabilities"], [[0.2, 0.5, 0.3]], rtol=1e-5)
    assert strings(answer["label"]) == ["2"]


def test_ordinal_answers_the_median_and_not_the_mode():
    logits = tf.math.log([[0.6 / 0.4, 0.55 / 0.45], [0.6 / 0.4, 0.25 / 0.75]])
    # 0.4, 0.05, 0.55 → median 3; 0.4, 0.35, 0.25 → median 2 though 1 is the most probable
    assert strings(ordinal.answer(logits, OrdinalHead(), STARS)["label"]) == ["3", "2"]


def test_ordinal_thresholds_rise_whatever_is_learnt():
    pooled = keras.Input([2])
    model = keras.Model(pooled, ordinal.score(pooled, "logits", Target(tuple("12345"))))
    chance = np.random.default_rng(0)
    model.set_weights([chance.normal(size=weight.shape) * 3 for weight in model.get_weights()])
    logits = model(chance.normal(size=(20, 2))).numpy()
    assert logits.shape == (20, 4)
    assert (np.diff(logits, axis=1) < 0).all()
    probabilities = ordinal.answer(tf.constant(logits), OrdinalHead(), Target(tuple("12345")))["probabilities"].numpy()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_ordinal_metrics_count_levels():
    logits = tf.constant([[1.0, -1.0], [1.0, 1.0]])  # levels 1 and 2
    right, off = ordinal.metrics(STARS)
    for metric in (right, off):
        metric.update_state(np.array([1, 0]), logits)
    assert (float(right.result()), float(off.result())) == (0.5, 1.0)


def test_levels_are_sorted_as_numbers_or_as_they_are_given():
    counts = collections.Counter({b"10": 3, b"9": 1, b"2.5": 1})
    assert ordinal.sort_levels(counts, "stars", ()) == [b"2.5", b"9", b"10"]
    words = collections.Counter({b"good": 1, b"bad": 1})
    assert ordinal.sort_levels(words, "stars", ("bad", "fair", "good")) == [b"bad", b"fair", b"good"]
    with pytest.raises(ValueError, match=r"`heads.stars.levels` must give the classes' order.* Received: \['bad', 'go"):
        ordinal.sort_levels(words, "stars", ())
    with pytest.raises(ValueError, match=r"must name every class. Received: \['bad'\]; unnamed: \['good'\]"):
        ordinal.sort_levels(words, "stars", ("bad",))


def test_regression_answers_in_the_label_s_own_unit():
    target = regression.find_target(np.array([10, 30, 20, 20], np.float32), "price", None)
    assert (target.mean, target.deviation) == (20.0, np.sqrt(50.0))
    answer = regression.answer(tf.constant([[0.0], [1.0]]), RegressionHead(), target)
    np.testing.assert_allclose(answer["value"], [20, 20 + np.sqrt(50)], rtol=1e-6)
    (metric,) = regression.metrics(target)
    metric.update_state(np.array([[10.0], [20 + np.sqrt(50)]], np.float32), tf.constant([[0.0], [1.0]]))
    assert float(metric.result()) == pytest.approx(5.0)


def test_equal_numbers_are_nothing_to_learn():
    with pytest.raises(ValueError, match=r"different numbers of `price`. Received: only 3"):
        regression.find_target(np.array([3, 3], np.float32), "price", None)
