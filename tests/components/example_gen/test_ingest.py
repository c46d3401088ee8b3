"""Whatever stands in a file: rows in = rows out + rows quarantined."""

import csv
import io
import json
import tempfile
from pathlib import Path

import tensorflow as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from components.example_gen.ingest import PARTS, Report, ingest, quarantine_part, split_uri
from components.example_gen.options import ExampleGenOptions
from components.example_gen.plan import plan_file
from components.example_gen.units import Unit

SPLITS = (("train", 8), ("eval", 1), ("test", 1))
OPTIONS = ExampleGenOptions.model_validate(
    {
        "columns": [
            {"name": "text", "column": "text", "type": "text"},
            {"name": "n", "column": "n", "type": "number", "required": True},
        ],
        "labels": [{"name": "label", "column": "label"}],
        "on_empty_text": "quarantine",
        "quarantine_dir": "unused",
    }
)
PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

text = st.text(st.characters(codec="utf-8"), max_size=20)
row = st.tuples(text, st.one_of(st.integers().map(str), text), st.sampled_from(["yes", "no", ""]))
fault = st.sampled_from(["none"] * 4 + ["drop", "add", "undecodable"])


def run(content: bytes, name: str = "a.csv") -> tuple[Report, list[dict], int]:
    """Ingests a file; gives the report, the quarantined rows and the number of examples that were written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        (Path(folder) / PARTS).mkdir()
        for split, _ in SPLITS:
            Path(split_uri(folder, split)).mkdir()
        (unit,) = plan_file(str(path), name, OPTIONS.used_columns(), splits=SPLITS) or [None]
        assert isinstance(unit, Unit)
        report = ingest(0, unit, OPTIONS, folder)
        part = Path(quarantine_part(folder, 0))
        quarantined = [json.loads(line) for line in part.read_text().split("\n")[:-1]] if part.exists() else []
        shards = [str(path) for path in Path(folder).glob("Split-*/*")]
        written = sum(1 for _ in tf.data.TFRecordDataset(shards, "GZIP").as_numpy_iterator()) if shards else 0
    return report, quarantined, written


def check_balance(report: Report, quarantined: list[dict], written: int) -> None:
    assert report.rows_read == report.rows_by_split.total() + report.bad_by_reason.total()
    assert report.bad_by_reason.total() == len(quarantined)
    assert report.rows_by_split.total() == written
    numbers = [row["row"] for row in quarantined]
    assert len(set(numbers)) == len(numbers)
    assert all(1 <= number <= report.rows_read for number in numbers)


@PATIENT
@given(
    rows=st.lists(st.tuples(row, fault), max_size=30),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@example(rows=[(("a\rb", "1", "yes"), "none")], line_end="\n", quoting=csv.QUOTE_MINIMAL)
def test_every_csv_row_is_used_or_quarantined(rows, line_end, quoting):
    lines = [b"text,n,label" + line_end.encode()]
    for values, how in rows:
        buffer = io.StringIO()
        fields = list(values)[:-1] if how == "drop" else [*values, "more"] if how == "add" else list(values)
        csv.writer(buffer, lineterminator=line_end, quoting=quoting).writerow(fields)
        line = buffer.getvalue().encode()
        lines.append(line.replace(b"yes", b"\xff") if how == "undecodable" else line)
    report, quarantined, written = run(b"".join(lines))
    check_balance(report, quarantined, written)
    assert report.rows_read == len(rows)
    for number, (_, how) in enumerate(rows, 1):
        if how in ("drop", "add"):
            assert next(bad["reason"] for bad in quarantined if bad["row"] == number) == "wrong_field_count"


@PATIENT
@given(body=st.binary(max_size=300) | st.text('",\n\r ab1\0', max_size=100).map(str.encode))
def test_any_bytes_after_a_header_balance(body):
    check_balance(*run(b"text,n,label\n" + body))


@PATIENT
@given(
    lines=st.lists(
        st.binary(max_size=60).map(lambda line: line.replace(b"\n", b""))
        | row.map(lambda values: json.dumps(dict(zip(("text", "n", "label"), values, strict=True))).encode()),
        max_size=20,
    )
)
def test_every_json_line_is_used_or_quarantined(lines):
    first = b'{"text": "a", "n": 1, "label": "yes"}'
    report, quarantined, written = run(b"\n".join([first, *lines]), "a.jsonl")
    check_balance(report, quarantined, written)
    rows = sum(bool(line.decode("utf-8", "replace").strip()) for line in lines)
    assert report.rows_read == rows + 1


def test_reports_add_up():
    total = Report()
    total.add(Report(rows_read=2, labels={"label": ["a"]}, first_bad=["x"]))
    total.add(
        Report(rows_read=3, labels={"label": ["b", "c"], "topic": ["x"]}, first_bad=["y", "z", "w"], error="damaged")
    )
    assert (total.rows_read, total.first_bad, total.error) == (5, ["x", "y", "z"], "damaged")
    assert total.labels == {"label": ["a", "b"], "topic": ["x"]}
