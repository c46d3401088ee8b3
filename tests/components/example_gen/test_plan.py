import bz2
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.errors import InputDataError
from components.example_gen.plan import data_files, plan_file
from components.example_gen.units import read_unit

WANTED = ("text", "label")
CSV = "text,label\na,1\nb,0\n"
JSON = '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n'


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def texts(units):
    return [value for unit in units for batch in read_unit(unit, WANTED) for value in batch.columns["text"].to_pylist()]


def parquet_bytes():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1, 0]}), sink, compression="brotli")
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.csv", CSV.encode(), "csv"),
        ("a.tsv", CSV.replace(",", "\t").encode("utf-16"), "csv"),
        ("a.jsonl", JSON.encode(), "jsonl"),
        ("nameless", JSON.encode(), "jsonl"),
        ("nameless", CSV.encode(), "csv"),
        ("a.parquet.brotli", parquet_bytes(), "parquet"),
    ],
)
def test_format_and_compression_are_told_from_the_content(tmp_path, name, content, format, compress):
    (tmp_path / name).write_bytes(compress(content))
    units = plan_file(str(tmp_path / name), name, WANTED)
    assert [unit.format for unit in units] == [format]
    assert texts(units) == ["a", "b"]


def test_concatenated_gzip_members_are_one_file(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode()) + gzip.compress(b"c,1\n"))
    assert texts(plan_file(str(tmp_path / "a.csv.gz"), "a", WANTED)) == ["a", "b", "c"]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_has_no_units(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    assert plan_file(str(tmp_path / "a.csv"), "a.csv", WANTED) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,x\na,1\n", r"`a.csv` has no column `label`. Its columns are: `text`, `x`"),
        ("a.csv", b"x\n1\n", r"has no column `text`, `label`"),
        ("a.csv", b"text,label,text\na,1,b\n", r"names columns twice: text. Received: `text`, `label`, `text`"),
        ("a.jsonl", b'{"text": 1}\n', r"`a.jsonl` has no column `label`"),
        ("a.jsonl", b'[{"text": 1}]\n', r"is one JSON array; one object a line"),
        ("a.parquet", b"PAR1 but not really", r"`a.parquet` is damaged"),
        (
            "a.csv.gz",
            gzip.compress(CSV.encode() * 1000, mtime=0)[:-20],
            r"`.*a.csv.gz` is damaged or cut off: its gzip data",
        ),
        ("a.csv.xz", lzma.compress(CSV.encode() * 1000)[:-40], r"is damaged or cut off: its xz data"),
        ("a.csv.bz2", bz2.compress(CSV.encode())[:-4], r"is damaged or cut off: its bz2 data"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputDataError, match=message):
        texts(plan_file(str(tmp_path / name), name, WANTED))


def test_a_named_encoding_and_delimiter_are_used(tmp_path):
    (tmp_path / "a.csv").write_bytes("text~label\ncafé~1\n".encode("latin-1"))
    units = plan_file(str(tmp_path / "a.csv"), "a.csv", WANTED, encoding="latin-1", delimiter="~")
    assert texts(units) == ["café"]


def test_a_json_key_may_come_up_late(tmp_path):
    rows = [json.dumps({"text": str(row)}) for row in range(5000)] + [json.dumps({"text": "x", "label": 1})]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    assert plan_file(str(tmp_path / "a.jsonl"), "a.jsonl", WANTED)[0].columns == ("text", "label")


def test_what_lies_beside_data_is_left_out(tmp_path, caplog):
    names = ["b.csv", "a.csv.gz", "_SUCCESS", ".a.csv.crc", "README.md", "data_tfrecord-00000-of-00001.gz"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder.csv").mkdir()
    found = data_files([str(path) for path in tmp_path.iterdir()])
    assert found == [str(tmp_path / name) for name in ("a.csv.gz", "b.csv", "data_tfrecord-00000-of-00001.gz")]
    assert "leaves out" in caplog.text
    assert data_files([str(tmp_path / "README.md")]) == [str(tmp_path / "README.md")]
