import numpy as np
import pytest

from models.attention.rollout import rollout

FIRST = np.array([[[1, 0, 0], [1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]], "float32")
SECOND = np.array([[[0, 1, 0], [0, 0, 1], [1, 0, 0]]] * 2, "float32")
POOLED = np.array([[0.5, 0.25, 0.25]], "float32")


def test_two_layers_of_three_tokens_by_hand():
    # The mean of the first layer's heads is [1 0 0; ½ ½ 0; 0 ½ ½], with half of each token itself
    # [1 0 0; ¼ ¾ 0; 0 ¼ ¾]; the second's is [½ ½ 0; 0 ½ ½; ½ 0 ½].
    # Pooled, then second: [0.375 0.375 0.25]; then first: 0.375 + 0.375/4, 0.375·¾ + 0.25/4, 0.25·¾.
    rolled = rollout(POOLED, [FIRST[None], SECOND[None]])
    np.testing.assert_allclose(rolled, [[0.46875, 0.34375, 0.1875]], rtol=1e-6)


def test_without_layers_it_is_the_pooling_itself():
    assert rollout(POOLED, []) is POOLED


def test_sums_to_one_and_leaves_padding_alone():
    weights = (
        np.random.default_rng(0).dirichlet(np.ones(3), (2, 4, 4, 5)).astype("float32")
    )  # 2 layers, 4 rows, 4 heads
    layers = [np.pad(layer, [(0, 0), (0, 0), (0, 0), (0, 2)]) for layer in weights]  # the last 2 of 5 keys are padding
    rolled = np.asarray(rollout(np.tile([[0.2, 0.3, 0.5, 0, 0]], (4, 1)).astype("float32"), layers))
    assert rolled.sum(axis=1) == pytest.approx([1] * 4)
    assert not rolled[:, 3:].any()
