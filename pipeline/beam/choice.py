"""`beam.runner: auto`: in memory, or processes from the size of input at which they pay."""

import logging
import os
from collections.abc import Iterable

from components.example_gen.files import is_remote
from pipeline.beam.options import AnyBeam, AutoBeam, DirectBeam, ProcessesBeam
from pipeline.console import PROGRESS_LOGGER

PAYS_FROM_BYTES = 150 << 20
"""Of input, as it lies on disk: about 800,000 rows of the demo's table. Measured by `benchmarks/scale.py` on two idle
cores: two processes take 1.13 times as long as memory at 57 MiB and 0.86 times as long at 191."""


def settle(beam: AnyBeam, paths: Iterable[str]) -> AnyBeam:
    """Chooses where nothing was chosen, and tells which and why.

    Args:
        beam: the config's group; any runner but `auto` stays.
        paths: the files of the input.

    Returns:
        A runner of which Beam's arguments can be made.
    """
    if not isinstance(beam, AutoBeam):
        return beam
    size, workers = sum(map(_size, paths)), beam.workers or len(os.sched_getaffinity(0))
    pays = size >= PAYS_FROM_BYTES and workers > 1
    told = f"Beam runs in {f'{workers} processes' if pays else 'memory'}: the input has {_mebibytes(size)}"
    limit = f"processes are taken from {_mebibytes(PAYS_FROM_BYTES)} on"
    why = limit if workers > 1 or size < PAYS_FROM_BYTES else f"{limit}, but there is one worker only"
    logging.getLogger(PROGRESS_LOGGER).info("%s; %s (`beam.runner` chooses otherwise).", told, why)
    return ProcessesBeam(workers=workers) if pays else DirectBeam()


def _size(path: str) -> int:
    if not is_remote(path):
        return os.path.getsize(path)
    import tensorflow as tf

    return int(tf.io.gfile.stat(path).length)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 10 << 20 else f"{size / 2**20:.1f} MiB"
