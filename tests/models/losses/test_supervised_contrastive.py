import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.losses.lifted_triplet import LiftedTriplet
from models.losses.supervised_contrastive import SupervisedContrastive

POINTS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], "float32")
"""Cosines: 0 to 1: 0, 0 to 2: 0.6, 0 to 3: -1, 1 to 2: 0.8, 1 to 3: 0, 2 to 3: -0.6."""

CLASSES = np.array([0, 0, 0, 1])
BOTH = [SupervisedContrastive(0.5, reduction="none"), LiftedTriplet(0.5, reduction="none")]


def test_four_points_by_hand():
    loss = SupervisedContrastive(0.5, reduction="none")(CLASSES, POINTS)
    by_hand = []
    for positives, others in (([0, 0.6], [0, 0.6, -1]), ([0, 0.8], [0, 0.8, 0]), ([0.6, 0.8], [0.6, 0.8, -0.6])):
        all_others = sum(math.exp(cosine / 0.5) for cosine in others)
        by_hand.append(-sum(math.log(math.exp(cosine / 0.5) / all_others) for cosine in positives) / len(positives))
    np.testing.assert_allclose(loss, [*by_hand, 0], rtol=1e-5)
    np.testing.assert_allclose(SupervisedContrastive(0.5)(CLASSES, POINTS), sum(by_hand) / 4, rtol=1e-5)


def test_is_the_formula_on_random_points():
    chance = np.random.default_rng(0)
    points = chance.normal(size=(12, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ids = chance.integers(0, 4, 12)
    expected = []
    for i in range(12):
        others = [a for a in range(12) if a != i]
        positives = [p for p in others if ids[p] == ids[i]]
        total = sum(np.exp(points[i] @ points[a] / 0.1) for a in others)
        terms = [np.log(np.exp(points[i] @ points[p] / 0.1) / total) for p in positives]
        expected.append(-np.mean(terms) if terms else 0.0)
    loss = SupervisedContrastive(0.1, reduction="none")(ids[:, None], points.astype("float32"))
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", BOTH, ids=lambda loss: loss.name)
@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 1, 1], [5, 5, 5, 1]])
def test_is_finite_and_so_is_its_slope_whichever_classes_there_are(loss, ids):
    for points in (POINTS, np.tile(POINTS[:1], (4, 1))):  # also where all rows say the same
        embedding = tf.constant(points)
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            losses = loss(np.array(ids), embedding)
        assert np.isfinite(losses).all()
        assert np.isfinite(tape.gradient(losses, embedding)).all()
        if len(set(ids)) == 4:
            np.testing.assert_array_equal(losses, np.zeros(4))


@pytest.mark.parametrize("loss", BOTH, ids=lambda loss: loss.name)
def test_one_row_alone_is_nothing(loss):
    np.testing.assert_array_equal(loss(np.array([1]), POINTS[:1]), [0.0])


@pytest.mark.parametrize("loss", BOTH, ids=lambda loss: loss.name)
def test_the_order_of_a_batch_does_not_matter(loss):
    order = np.array([2, 3, 0, 1])
    np.testing.assert_allclose(loss(CLASSES[order], POINTS[order]), np.asarray(loss(CLASSES, POINTS))[order], rtol=1e-5)


@pytest.mark.parametrize("loss", BOTH, ids=lambda loss: loss.name)
def test_it_can_be_saved(loss):
    loaded = keras.losses.deserialize(keras.losses.serialize(loss))
    assert loaded.get_config() == loss.get_config()
    np.testing.assert_array_equal(loaded(CLASSES, POINTS), loss(CLASSES, POINTS))
