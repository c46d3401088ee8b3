import numpy as np
import pytest
import tensorflow as tf

from models.raw import dense, parse_examples, raw_types, transform_inputs


def test_only_what_the_model_reads_is_raw_input(spec):
    assert raw_types(spec) == {"review": "text", "age": "number", "title": "text", "department": "category"}
    assert raw_types(spec, label=True)["label"] == "category"


@pytest.mark.parametrize(
    "tensor",
    [
        tf.constant(["a", ""]),
        tf.constant([["a"], [""]]),
        tf.SparseTensor([[0, 0]], ["a"], [2, 1]),
        tf.SparseTensor([[0, 0], [0, 1]], ["a", "second"], [2, 2]),
    ],
)
def test_one_value_a_row_whatever_the_form(tensor):
    assert dense(tensor, "text").numpy().tolist() == [b"a", b""]


def test_a_batch_without_any_value_is_missing_throughout():
    empty = tf.SparseTensor(np.zeros((0, 2), np.int64), tf.zeros([0]), [3, 0])
    assert np.isnan(dense(empty, "number")).tolist() == [True] * 3


def test_any_feature_may_be_left_out_of_an_example():
    example = tf.train.Example()
    example.features.feature["age"].float_list.value.append(4)
    rows = parse_examples(
        tf.constant([example.SerializeToString(), b""]), {"age": "number", "review": "text", "kind": "category"}
    )
    np.testing.assert_array_equal(rows["age"], [4, np.nan])
    assert rows["review"].numpy().tolist() == rows["kind"].numpy().tolist() == [b"", b""]


def test_missing_values_are_left_out_of_sparse_inputs_and_stay_in_dense_ones():
    rows = {"age": tf.constant([1.0, np.nan]), "kind": tf.constant(["", "x"]), "size": tf.constant([1.0, np.nan])}
    inputs = transform_inputs(
        rows,
        {
            "age": tf.io.VarLenFeature(tf.float32),
            "kind": tf.io.VarLenFeature(tf.string),
            "size": tf.io.FixedLenFeature([1], tf.float32),
        },
    )
    assert inputs["age"].indices.numpy().tolist() == [[0, 0]]
    assert inputs["kind"].indices.numpy().tolist() == [[1, 0]]
    assert inputs["kind"].values.numpy().tolist() == [b"x"]
    assert inputs["size"].shape == (2, 1)
