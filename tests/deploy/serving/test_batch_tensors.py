import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deploy.serving.batch_tensors import batch_rows, merge, row_bytes, split
from deploy.serving.status import FailedPreconditionError, InvalidArgumentError


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_rows_are_put_under_each_other_and_the_last_tasks_first_row_fills_up():
    first = {"x": np.array([[1.0, 2.0]]), "s": texts(b"a")}
    second = {"x": np.array([[3.0, 4.0], [5.0, 6.0]]), "s": texts(b"b", b"c")}
    merged = merge([first, second], [2, 5, 8], False)
    assert merged["x"].tolist() == [[1, 2], [3, 4], [5, 6], [3, 4], [3, 4]]
    assert merged["s"].tolist() == [b"a", b"b", b"c", b"b", b"b"]


def test_short_tensors_are_padded_with_their_own_first_value():
    merged = merge([{"x": np.array([[7, 8, 9]])}, {"x": np.array([[5], [6]])}], [], True)
    assert merged["x"].tolist() == [[7, 8, 9], [5, 5, 5], [6, 5, 5]]


@pytest.mark.parametrize(
    ("one", "other", "pad", "error", "match"),
    [
        (
            np.zeros((1, 2)),
            np.zeros((1, 3)),
            False,
            FailedPreconditionError,
            "Tensors with name 'x' from different tasks have different shapes and padding is turned off.",
        ),
        (np.zeros((1, 2)), np.zeros((1, 2, 1)), True, FailedPreconditionError, "have different shapes"),
        (np.zeros((1, 0)), np.zeros((1, 3)), True, InvalidArgumentError, "Got empty tensor in batch of non-empty"),
        (
            np.zeros((1, 1, 1, 1, 1, 1, 1)),
            np.zeros((1, 2, 1, 1, 1, 1, 1)),
            True,
            InvalidArgumentError,
            "Only tensors with rank from 1 to 6 can be padded.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(one, other, pad, error, match):
    with pytest.raises(error, match=match):
        merge([{"x": one}, {"x": other}], [], pad)


@pytest.mark.parametrize(
    ("feeds", "match"),
    [
        ({}, "must have at least one input tensor"),
        ({"x": np.array(1)}, "must have at least one dimension"),
        ({"x": np.zeros(2), "y": np.zeros(3)}, "must have equal 0th-dimension size"),
    ],
)
def test_requests_without_rows_are_refused(feeds, match):
    with pytest.raises(InvalidArgumentError, match=f"Batching Run\\(\\) (input tensors )?{match}$"):
        batch_rows(feeds)


def test_the_longest_row_counts_with_all_its_texts_and_numbers():
    feeds = {"a": texts(b"12345", b""), "b": texts(b"1", b"1234567"), "n": np.zeros((2, 3), np.float32)}
    assert row_bytes(feeds, 2) == 7 + 12
    assert row_bytes({"a": texts()}, 0) == 0


@pytest.mark.parametrize(
    ("output", "match"),
    [(np.array(1.0), "Batched output tensor has 0 dimensions"), (np.zeros(2), "does not equal the sum of the 0th")],
)
def test_outputs_that_are_no_rows_are_refused(output, match):
    with pytest.raises(FailedPreconditionError, match=match):
        split([output], [1, 2], 3)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 3), st.data())
def test_every_request_gets_its_own_rows_back(rows, filling, data):
    tasks = [{"x": data.draw(hnp.arrays(np.int64, (count, 2)))} for count in rows]
    size = sum(rows) + filling
    merged = merge(tasks, [size], False)["x"]
    assert len(merged) == size
    for task, (own,) in zip(tasks, split([merged], rows, size), strict=True):
        assert own.tolist() == task["x"].tolist()
