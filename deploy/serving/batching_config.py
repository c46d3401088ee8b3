"""The text file of `--batching_parameters_file`: BatchingParameters of the original, with its defaults."""

import os
from dataclasses import dataclass
from pathlib import Path

from deploy.serving.status import InvalidArgumentError
from deploy.serving.text_config import read_text_config


@dataclass(frozen=True)
class BatchingParameters:
    """How requests are gathered."""

    max_batch_size: int = 1000
    """Rows of one batch, and of one request."""
    batch_timeout_micros: int = 0
    """How long a request waits for others while a thread is free; while none is, it waits anyway."""
    max_enqueued_batches: int = 10
    """Full batches that may wait, per version and signature; then requests are refused."""
    num_batch_threads: int = os.cpu_count() or 1
    thread_pool_name: str = "model_server_batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    """If any, a batch is filled up to the next of these."""
    pad_variable_length_inputs: bool = False

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name} must be positive; was {getattr(self, name)}")
        if self.batch_timeout_micros < 0:
            raise InvalidArgumentError(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        sizes = self.allowed_batch_sizes
        if sizes and (sizes[0] < 1 or list(sizes) != sorted(set(sizes))):
            raise InvalidArgumentError(
                f"allowed_batch_sizes must be positive and in increasing order; was {list(sizes)}"
            )
        if sizes and sizes[-1] != self.max_batch_size:
            raise InvalidArgumentError(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )


def batching_parameters(enabled: bool, file: Path | None) -> BatchingParameters | None:
    """The parameters that `--enable_batching` and `--batching_parameters_file` ask for; None: no batching.

    Raises:
        InvalidArgumentError: The file cannot be read, or its values make no sense.
    """
    if not enabled:
        return None
    if file is None:
        return BatchingParameters()
    config = read_text_config(file, "BatchingParameters")
    given = {
        name: getattr(config, name).value
        for name in (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "thread_pool_name",
        )
        if config.HasField(name)
    }
    return BatchingParameters(
        allowed_batch_sizes=tuple(config.allowed_batch_sizes),
        pad_variable_length_inputs=config.pad_variable_length_inputs,
        **given,
    )
