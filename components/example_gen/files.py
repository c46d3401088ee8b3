"""Opens a file wherever it lies and however it is compressed."""

import contextlib
import glob
import lzma
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from components.example_gen.errors import InputDataError

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def is_remote(path: str) -> bool:
    """Whether the path names another file system than the machine's own."""
    return "://" in path


def matching_files(pattern: str) -> list[str]:
    """The paths that a glob matches, sorted."""
    if not is_remote(pattern):
        return sorted(glob.glob(pattern))
    from tfx.dsl.io import fileio

    return sorted(fileio.glob(pattern))


def open_raw(path: str) -> IO[bytes]:
    """Opens the bytes as they lie; remote files through TFX's file systems."""
    if not is_remote(path):
        return open(path, "rb")
    from tfx.dsl.io import fileio  # TFX takes seconds to import and local files do not need it.

    return fileio.open(path, "rb")


def compression_of(path: str) -> str | None:
    """Tells gzip, bz2, xz and zstd by their first bytes: a name may lie, the content does not."""
    with open_raw(path) as raw:
        head = raw.read(6)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


@contextlib.contextmanager
def open_bytes(path: str, compression: str | None) -> Iterator[Any]:
    """Opens the decompressed bytes for reading from start to end.

    Raises:
        InputDataError: the compressed data is cut off or damaged; raised while reading.
    """
    with open_raw(path) as raw:
        try:
            if compression is None:
                yield raw
            elif compression == "xz":
                with lzma.open(raw) as stream:
                    yield stream
            else:
                with pa.CompressedInputStream(pa.PythonFile(raw, "r"), compression) as stream:
                    yield stream
        except (EOFError, lzma.LZMAError, OSError) as error:
            is_the_systems = isinstance(error, OSError) and error.errno is not None
            if compression is None or is_the_systems:
                raise
            raise InputDataError(
                f"`{path}` is damaged or cut off: its {compression} data does not decompress ({error})."
            ) from error


@contextlib.contextmanager
def local_copy(path: str, compression: str | None) -> Iterator[str]:
    """Gives a local, uncompressed file with the same content: for formats that need random access."""
    if compression is None and not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "data"
        with open_bytes(path, compression) as stream, copy.open("wb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
        yield str(copy)
