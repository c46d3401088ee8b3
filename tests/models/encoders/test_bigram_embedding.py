import keras
import numpy as np
import pytest

from models.encoders.bigram_embedding import BigramEmbedding


@pytest.fixture
def layer():
    keras.utils.set_random_seed(0)
    return BigramEmbedding(buckets=1024, bigram_dim=2, hidden_dim=4, dropout=0.5, name="bigrams")


def test_a_token_is_read_with_the_one_before_it(layer):
    vectors = np.asarray(layer(np.array([[5, 7, 9, 7], [6, 7, 9, 9]])))
    np.testing.assert_array_equal(vectors[0, 2], vectors[1, 2])  # 7 9 in both
    assert np.abs(vectors[0, 1] - vectors[1, 1]).max() > 1e-4  # 5 7 and 6 7
    assert np.abs(vectors[0, 1] - vectors[0, 3]).max() > 1e-4  # 5 7 and 9 7
    assert np.abs(vectors[0, 2] - vectors[0, 3]).max() > 1e-4  # 7 9 and 9 7


def test_by_hand(layer):
    vectors = np.asarray(layer(np.array([[3, 4]])))
    rows = np.asarray(layer.table.embeddings)[[3, (3 * 31_337 + 4) % 1024]]
    np.testing.assert_allclose(vectors[0], rows @ np.asarray(layer.projection.kernel), rtol=1e-5)


def test_what_follows_does_not_count(layer):
    np.testing.assert_array_equal(layer(np.array([[5, 7, 0, 0]]))[:, :2], layer(np.array([[5, 7]])))


def test_the_greatest_ids_find_a_row(layer):
    assert np.isfinite(layer(np.array([[67_999, 67_999]], "int32"))).all()


def test_training_drops_whole_pairs(layer):
    ids = np.arange(1, 401)[None]
    kept = np.asarray(layer(ids, training=True)) != 0
    assert set(kept.sum(axis=-1).ravel()) == {0, 4}
    assert 0.4 < kept[..., 0].mean() < 0.6


def test_comes_back_from_its_config(layer):
    assert BigramEmbedding.from_config(layer.get_config()).get_config() == layer.get_config()
