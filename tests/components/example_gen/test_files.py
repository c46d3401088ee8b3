import errno
import gzip
import shutil

import pytest

from components.example_gen.errors import InputDataError
from components.example_gen.files import compression_of, local_copy, open_bytes


def test_a_plain_file_is_not_copied(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert compression_of(str(tmp_path / "a")) is None
    with local_copy(str(tmp_path / "a"), None) as path:
        assert path == str(tmp_path / "a")


def test_a_compressed_file_is_unpacked_for_random_access(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(b"abc"))
    with local_copy(str(tmp_path / "a"), compression_of(str(tmp_path / "a"))) as path, open(path, "rb") as file:
        assert file.read() == b"abc"


def test_a_full_disk_is_not_taken_for_damaged_data(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(gzip.compress(b"abc"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"), local_copy(str(tmp_path / "a"), "gzip"):
        pass


def test_damaged_data_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"\x1f\x8b no gzip at all")
    with (
        pytest.raises(InputDataError, match="is damaged or cut off: its gzip data"),
        open_bytes(str(tmp_path / "a"), "gzip") as stream,
    ):
        stream.read()
