import keras
import numpy as np

from models.losses.ordinal_cross_entropy import OrdinalCrossEntropy


def test_is_the_sum_of_the_cross_entropies_at_every_threshold():
    above = np.array([[0.8, 0.3]])
    loss = OrdinalCrossEntropy(reduction="none")
    logits = np.log(above / (1 - above)).astype(np.float32)
    by_hand = {0: -np.log(0.2) - np.log(0.7), 1: -np.log(0.8) - np.log(0.7), 2: -np.log(0.8) - np.log(0.3)}
    for level, expected in by_hand.items():
        np.testing.assert_allclose(loss(np.array([level]), logits), [expected], rtol=1e-5)


def test_being_off_by_one_costs_less_than_by_two():
    logits = np.array([[6.0, 4.0, -4.0, -6.0]], np.float32)  # surely level 2
    costs = [float(OrdinalCrossEntropy()(np.array([level]), logits)) for level in range(5)]
    assert costs[2] < costs[1] < costs[0]
    assert costs[2] < costs[3] < costs[4]


def test_far_scores_stay_finite_and_it_can_be_saved():
    assert np.isfinite(float(OrdinalCrossEntropy()(np.array([0]), np.array([[1e4]], np.float32))))
    loss = keras.losses.deserialize(keras.losses.serialize(OrdinalCrossEntropy()))
    assert isinstance(loss, OrdinalCrossEntropy)
