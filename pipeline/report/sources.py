"""SHA-256 of the source files, where it can still be told for sure."""

import hashlib
import os
import re
from collections.abc import Sequence

MOST_BYTES = 256 << 20
"""In all; more would keep the end of a run waiting."""


def hashes(paths: Sequence[str], fingerprint: str) -> dict[str, str]:
    """Hashes the files, if they are those that the run read.

    Args:
        paths: as the run read them.
        fingerprint: TFX's, of then: sizes and times of change, added up over all files.

    Returns:
        path → SHA-256; empty if a file is remote, gone or changed, or they are too big.
    """
    try:
        known = [os.stat(path) for path in paths]
    except OSError:
        return {}
    found = {name: [int(each) for each in re.findall(rf"{name}:(\d+)", fingerprint)] for name in _PARTS}
    same = (
        sum(found["num_files"]) == len(known)
        and sum(found["total_bytes"]) == sum(each.st_size for each in known) <= MOST_BYTES
        and sum(found["sum_checksum"]) == sum(int(each.st_mtime) for each in known)
    )
    return {path: _sha256(path) for path in paths} if same else {}


_PARTS = ("num_files", "total_bytes", "sum_checksum")


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
