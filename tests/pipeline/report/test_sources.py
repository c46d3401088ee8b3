"""When the hash of a source file is told."""

import hashlib
import os

from pipeline.report.sources import hashes


def test_only_files_that_are_still_those_that_were_read_are_hashed(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for number, path in enumerate(paths):
        path.write_text("x" * (number + 1))
        os.utime(path, (100 + number, 100 + number))
    names = [str(path) for path in paths]
    read = "split:train,num_files:1,total_bytes:1,xor_checksum:100,sum_checksum:100\n"
    read += "split:test,num_files:1,total_bytes:2,xor_checksum:101,sum_checksum:101"
    assert hashes(names, read) == {
        name: hashlib.sha256(text).hexdigest() for name, text in zip(names, (b"x", b"xx"), strict=True)
    }
    os.utime(paths[0], (200, 200))
    assert hashes(names, read) == {}
    paths[1].unlink()
    assert hashes(names, read) == {}
    assert hashes(["gs://bucket/a.csv"], read) == {}
