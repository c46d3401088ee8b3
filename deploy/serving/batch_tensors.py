"""Requests into one batch and the batch's outputs apart again (`batching_session.cc` and `batching_util.h`)."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from deploy.serving.status import FailedPreconditionError, InvalidArgumentError
from deploy.serving.tensors import STRING, Array, element_type_of

Feeds = Mapping[str, Array]

_LARGEST_PADDED_RANK = 6


def batch_rows(feeds: Feeds) -> int:
    """The rows of a request: the common length of its tensors on axis 0.

    Raises:
        InvalidArgumentError: There is no tensor, one is a scalar, or their lengths differ.
    """
    if not feeds:
        raise InvalidArgumentError("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in feeds.values()):
        raise InvalidArgumentError("Batching Run() input tensors must have at least one dimension")
    lengths = {len(array) for array in feeds.values()}
    if len(lengths) > 1:
        raise InvalidArgumentError("Batching Run() input tensors must have equal 0th-dimension size")
    return lengths.pop()


def row_bytes(feeds: Feeds, rows: int) -> int:
    """The bytes of a request's longest row, strings counted by their length: what its batch is padded to.

    Args:
        feeds: Arrays of any type and shape `(rows, …)`.
        rows: As `batch_rows` says.
    """
    if rows == 0:
        return 0
    lengths, width = [0] * rows, 0
    for array in feeds.values():
        if element_type_of(array) is STRING:
            for row, values in enumerate(array.reshape(rows, -1).tolist()):
                lengths[row] += sum(map(len, values))
        else:
            width += array.nbytes // rows
    return max(lengths) + width


def merge(tasks: Sequence[Feeds], allowed_batch_sizes: Sequence[int], pad_variable_length: bool) -> dict[str, Array]:
    """One batch of several requests.

    Args:
        tasks: Arrays `(rows, …)` by name; all tasks have the same names and types.
        allowed_batch_sizes: The batch is filled up to the next of these with the last task's first row.
        pad_variable_length: Tensors are padded on all other axes to the longest, with their own first value.

    Returns:
        Arrays `(sum of rows + filling, …)` by name.

    Raises:
        FailedPreconditionError: Shapes differ, and are not to be padded.
        InvalidArgumentError: A tensor cannot be padded.
    """
    rows = sum(batch_rows(task) for task in tasks)
    filling = next((size for size in allowed_batch_sizes if size >= rows), rows) - rows
    merged = {}
    for name in tasks[0]:
        arrays = [task[name] for task in tasks]
        shapes = {array.shape[1:] for array in arrays}
        if len(shapes) > 1:
            # Tensors of another rank cannot be padded to each other.
            if not pad_variable_length or len({len(shape) for shape in shapes}) > 1:
                raise FailedPreconditionError(
                    f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off."
                    "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name"
                    "have equal dimensions starting with the first dim."
                )
            longest = tuple(max(lengths) for lengths in zip(*shapes, strict=True))
            arrays = [_padded(array, longest) for array in arrays]
        if filling and len(arrays[-1]):
            arrays.append(np.repeat(arrays[-1][:1], filling, axis=0))
        merged[name] = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
    return merged


def _padded(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape[1:] == shape:
        return array
    if array.size == 0:
        raise InvalidArgumentError("Got empty tensor in batch of non-empty tensors.")
    if array.ndim > _LARGEST_PADDED_RANK:
        raise InvalidArgumentError("Only tensors with rank from 1 to 6 can be padded.")
    padded = np.full((len(array), *shape), array.flat[0], array.dtype)
    padded[tuple(slice(length) for length in array.shape)] = array
    return padded


def split(outputs: Sequence[Array], rows: Sequence[int], batch_size: int) -> list[list[Array]]:
    """The outputs of each request of a batch.

    Args:
        outputs: Arrays `(batch_size, …)`.
        rows: Of each request, in the order of `merge`.
        batch_size: Rows of the batch, with those that fill it up.

    Returns:
        Per request one array `(rows, …)` for each output.

    Raises:
        FailedPreconditionError: An output is not one row per row.
    """
    for output in outputs:
        if output.ndim == 0:
            raise FailedPreconditionError("Batched output tensor has 0 dimensions")
        if len(output) != batch_size:
            raise FailedPreconditionError(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                "input tensors"
            )
    ends = list(itertools.accumulate(rows))
    return [[output[end - count : end] for output in outputs] for count, end in zip(rows, ends, strict=True)]
