import pytest

from deploy.serving.batching_config import BatchingParameters, batching_parameters
from deploy.serving.status import InvalidArgumentError


def read(tmp_path, text):
    file = tmp_path / "batching.config"
    file.write_text(text)
    return batching_parameters(True, file)


def test_a_file_of_the_original_is_read(tmp_path):
    found = read(
        tmp_path,
        """
        max_batch_size { value: 128 }
        batch_timeout_micros { value: 500 }
        max_enqueued_batches { value: 7 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "pool" }
        allowed_batch_sizes: 32
        allowed_batch_sizes: 128
        pad_variable_length_inputs: true
        """,
    )
    assert found == BatchingParameters(128, 500, 7, 3, "pool", (32, 128), True)


def test_what_is_left_out_has_the_originals_defaults(tmp_path):
    found = read(tmp_path, "batch_timeout_micros { value: 0 }")
    assert found == BatchingParameters() == batching_parameters(True, None)
    assert (found.max_batch_size, found.batch_timeout_micros, found.max_enqueued_batches) == (1000, 0, 10)
    assert batching_parameters(False, None) is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("num_batch_threads { value: -1 }", "num_batch_threads must be positive; was -1"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 2 allowed_batch_sizes: 8",
            r"allowed_batch_sizes must be positive and in increasing order; was \[4, 2, 8\]",
        ),
        ("batch_size { value: 8 }", 'Invalid protobuf file.*has no field named "batch_size"'),
        ("enable_large_batch_splitting { value: true }", 'has no field named "enable_large_batch_splitting"'),
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path, text, match):
    with pytest.raises(InvalidArgumentError, match=match):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="Invalid protobuf file"):
        batching_parameters(True, tmp_path / "none")
