import math

import numpy as np

from models.losses.lifted_triplet import LiftedTriplet

POINTS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], "float32")


def test_four_points_by_hand():
    # Squared distances are 2 - 2 cos: 0-1: 2, 0-2: 0.8, 0-3: 4, 1-2: 0.4, 1-3: 2, 2-3: 3.2.
    loss = LiftedTriplet(1.0, reduction="none")(np.array([0, 0, 1, 1]), POINTS)
    by_hand = [
        math.sqrt(positive) + math.log(sum(math.exp(1 - math.sqrt(negative)) for negative in negatives))
        for positive, negatives in ((2, (0.8, 4)), (2, (0.4, 2)), (3.2, (0.8, 0.4)), (3.2, (4, 2)))
    ]
    np.testing.assert_allclose(loss, by_hand, rtol=1e-5)


def test_several_of_a_class_count_together_and_a_row_alone_in_its_class_does_not():
    loss = LiftedTriplet(0.5, reduction="none")(np.array([0, 0, 0, 1]), POINTS)
    first = math.log(math.exp(math.sqrt(2)) + math.exp(math.sqrt(0.8))) + 0.5 - 2
    np.testing.assert_allclose(np.asarray(loss)[[0, 3]], [first, 0], rtol=1e-5)


def test_rows_that_are_far_enough_from_all_others_are_done_with():
    points = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0]], "float32")
    assert not np.any(LiftedTriplet(1.0, reduction="none")(np.array([0, 0, 1, 1]), points))
