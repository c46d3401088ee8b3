import numpy as np
import pytest
import tensorflow as tf

from models.input_fn import Split, batches, read_split, shuffled_rows, sorted_rows
from tests.models.conftest import make_rows


@pytest.fixture(scope="module")
def split():
    lengths = np.random.default_rng(0).integers(1, 30, 103)
    token_ids = tf.ragged.constant([[1 + row] * length for row, length in enumerate(lengths)], dtype=tf.int32)
    return Split({"t_token_ids": token_ids}, {"label": (np.arange(103) % 3).astype(np.int32)}, lengths)


def seen_rows(dataset):
    return [features["t_token_ids"][:, :1].numpy().ravel() - 1 for features, *_ in dataset]


def test_reads_all_rows_in_order(spec, splits, transform_output):
    split = read_split([splits["train"]], transform_output, spec)
    assert len(split) == 130
    assert split.labels["label"].tolist() == [int(row["label"] == "yes") for row in make_rows(130, seed=0)]
    lengths = [split.features[f"{name}_token_ids"].row_lengths() for name in ("review", "title")]
    np.testing.assert_array_equal(split.lengths, lengths[0] + lengths[1])
    assert split.features["age_value"].shape == (130, 1)


def test_an_empty_split_is_refused(spec, transform_output, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "empty.gz"), "GZIP"):
        pass
    for pattern in ("empty.gz", "nothing-*"):
        with pytest.raises(ValueError, match="no row in"):
            read_split([str(tmp_path / pattern)], transform_output, spec)


def test_an_epoch_holds_every_row_once(split):
    rows = shuffled_rows(split.lengths, 10, seed=0, epoch=0)
    assert sorted(rows) == list(range(103))
    seen = seen_rows(batches(split, rows, 10))
    assert [len(batch) for batch in seen] == [10] * 10 + [3]
    np.testing.assert_array_equal(np.concatenate(seen), rows)


def test_order_depends_on_seed_and_epoch_alone(split):
    first = shuffled_rows(split.lengths, 10, seed=1, epoch=2)
    np.testing.assert_array_equal(first, shuffled_rows(split.lengths, 10, seed=1, epoch=2))
    assert not np.array_equal(first, shuffled_rows(split.lengths, 10, seed=1, epoch=3))
    assert not np.array_equal(first, shuffled_rows(split.lengths, 10, seed=2, epoch=2))


def test_an_epoch_can_begin_in_its_middle(split):
    rows = shuffled_rows(split.lengths, 10, seed=0, epoch=0)
    whole, rest = seen_rows(batches(split, rows, 10)), seen_rows(batches(split, rows, 10, first_step=7))
    np.testing.assert_array_equal(np.concatenate(whole[7:]), np.concatenate(rest))


def test_rows_of_similar_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 129, 6400)
    grouped = lengths[shuffled_rows(lengths, 64, seed=0, epoch=0)].reshape(-1, 64)
    padding = 1 - lengths.sum() / (grouped.max(axis=1) * 64).sum()
    assert padding < 0.05
    assert np.abs(np.diff(grouped.max(axis=1))).mean() > 10  # batches themselves come in random order


def test_pads_to_the_longest_of_the_batch_with_zeros(split):
    rows = sorted_rows(split.lengths)
    for step, (features, labels) in enumerate(batches(split, rows, 10)):
        chosen = rows[step * 10 : (step + 1) * 10]
        assert features["t_token_ids"].shape == (len(chosen), split.lengths[chosen].max())
        np.testing.assert_array_equal(np.count_nonzero(features["t_token_ids"], axis=1), split.lengths[chosen])
        np.testing.assert_array_equal(labels["label"], split.labels["label"][chosen])


def test_class_weights_go_with_the_rows(split):
    weights = np.array([0.5, 1, 2], np.float32)
    for _, labels, row_weights in batches(split, sorted_rows(split.lengths), 10, {"label": weights}):
        np.testing.assert_array_equal(row_weights["label"], weights[labels["label"]])


def test_replicas_share_each_batch_evenly(split):
    rows = shuffled_rows(split.lengths, 17, seed=0, epoch=0)  # 6 batches of 17, and one of 1
    of_each = [seen_rows(batches(split, rows, 17, replicas=3, own=range(each, each + 1))) for each in range(3)]
    assert [len(part) for part in of_each[0]] == [5] * 6 + [0]
    assert [len(part) for part in of_each[2]] == [6] * 6 + [1]
    together = [part for parts in zip(*of_each, strict=True) for part in parts]
    np.testing.assert_array_equal(np.concatenate(together), rows)
    both = seen_rows(batches(split, rows, 17, first_step=5, replicas=3, own=range(1, 3)))
    for left, right in zip(
        both, [part for parts in zip(*of_each[1:], strict=True) for part in parts][10:], strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_pads_to_a_multiple_when_asked(split):
    for features, _ in batches(split, sorted_rows(split.lengths), 10, multiple=8):
        longest = np.count_nonzero(features["t_token_ids"], axis=1).max()
        assert features["t_token_ids"].shape[1] == min(-(-longest // 8) * 8, split.lengths.max())
