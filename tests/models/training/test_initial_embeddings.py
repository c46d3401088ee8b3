import numpy as np
import pytest
import tensorflow as tf

from models.training.initial_embeddings import cooccurrence_embeddings


def texts(rows):
    return [tf.RaggedTensor.from_row_splits(np.concatenate(rows).astype("int32"), np.cumsum([0, *map(len, rows)]))]


def test_by_hand():
    # Pieces 0 and 1 always stand together, and so do 2 and 3: PMI = log(1 / smoothed p) = log 4 within, nothing across.
    vectors = cooccurrence_embeddings(texts([[0, 1], [2, 3]] * 3), vocabulary_size=6, hidden_dim=4)
    similar = vectors @ vectors.T
    np.testing.assert_allclose(np.abs(np.diag(similar)[:4]), similar[0, 0], rtol=1e-5)
    np.testing.assert_allclose([similar[0, 2], similar[0, 3], similar[1, 2]], 0, atol=1e-6)
    assert not vectors[4:].any()  # never seen
    again = cooccurrence_embeddings(texts([[0, 1], [2, 3]] * 3), vocabulary_size=6, hidden_dim=4)
    np.testing.assert_array_equal(again, vectors)  # although any other basis would do as well


def test_pieces_with_the_same_neighbours_are_near_and_the_scale_is_fixed():
    random = np.random.default_rng(0)
    rows = [[random.integers(10, 20), random.choice([1, 2]), random.integers(20, 30)] for _ in range(400)]
    rows += [[random.integers(30, 40), random.choice([3, 4]), random.integers(40, 50)] for _ in range(400)]
    vectors = cooccurrence_embeddings(texts(rows), vocabulary_size=60, hidden_dim=8)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    assert unit[1] @ unit[2] > 0.9 > 0.3 > unit[1] @ unit[3]
    assert vectors.dtype == np.float32
    assert vectors.std() == pytest.approx(0.15, rel=1e-3)
    np.testing.assert_array_equal(vectors, cooccurrence_embeddings(texts(rows), 60, 8))


def test_neighbours_of_another_row_are_none():
    apart, together = (
        cooccurrence_embeddings(texts(rows), vocabulary_size=4, hidden_dim=3)
        for rows in ([[0], [1], [2, 3], [2, 3]], [[0, 1], [2, 3], [2, 3]])
    )
    assert not apart[:2].any()
    assert together[:2].any()


@pytest.mark.parametrize("rows", [[[1]], [[1], [2]], [[]]])
def test_texts_of_one_piece_say_nothing(rows):
    assert not cooccurrence_embeddings(texts(rows), vocabulary_size=5, hidden_dim=8).any()


def test_more_dimensions_than_pieces_stay_zero():
    vectors = cooccurrence_embeddings(texts([[1, 2, 3, 1, 2], [3, 2, 1]]), vocabulary_size=5, hidden_dim=16)
    assert np.isfinite(vectors).all()
    assert not vectors[:, 4:].any()
