import math

import numpy as np

from models.losses.smoothed_cross_entropy import SmoothedCrossEntropy

LOGITS = np.log(np.array([[0.5, 0.25, 0.25]], "float32"))


def test_without_smoothing_it_is_cross_entropy():
    np.testing.assert_allclose(SmoothedCrossEntropy()(np.array([[0]]), LOGITS), math.log(2), rtol=1e-6)


def test_a_share_of_the_target_is_spread_over_all_classes():
    expected = 0.7 * math.log(2) + 0.3 * (math.log(2) + 2 * math.log(4)) / 3
    np.testing.assert_allclose(SmoothedCrossEntropy(0.3)(np.array([0]), LOGITS), expected, rtol=1e-6)


def test_comes_back_from_its_config():
    assert SmoothedCrossEntropy.from_config(SmoothedCrossEntropy(0.3).get_config()).label_smoothing == 0.3
