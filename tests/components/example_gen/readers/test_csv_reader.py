import io

import pytest

from components.example_gen.dialect import Dialect
from components.example_gen.readers import csv_reader
from components.example_gen.readers.csv_reader import read_csv, read_header


def read(content, wanted=("text", "n"), dialect=None):
    dialect = dialect or Dialect()
    text = io.TextIOWrapper(
        io.BytesIO(content.encode("utf-8", "surrogateescape")), "utf-8", "surrogateescape", dialect.newline
    )
    batches = list(read_csv(text, dialect, wanted))
    columns = {name: [v for batch in batches for v in batch.columns[name].to_pylist()] for name in wanted}
    good = [(int(row), int(line)) for batch in batches for row, line in zip(batch.rows, batch.lines, strict=True)]
    raw = [batch.raw(at) for batch in batches for at in range(len(batch.rows))]
    return columns, good, raw, [bad for batch in batches for bad in batch.bad]


def test_rows_know_number_line_and_text_through_embedded_line_ends():
    columns, good, raw, bad = read('n,text,x\n1,"a\nb",\n\n2,plain,\n3,"c\r\nd",\n')
    assert columns == {"text": ["a\nb", "plain", "c\r\nd"], "n": ["1", "2", "3"]}
    assert good == [(1, 2), (2, 5), (3, 6)]
    assert raw == ['1,"a\nb",\n', "2,plain,\n", '3,"c\r\nd",\n']
    assert not bad


def test_wrong_field_counts_are_refused_with_both_numbers():
    columns, good, _, bad = read("text,n\na,1\nb\nc,1,2\nd,2\n")
    assert columns["text"] == ["a", "d"]
    assert good == [(1, 2), (4, 5)]
    assert [(b.row, b.line, b.reason, b.detail, b.raw) for b in bad] == [
        (2, 3, "wrong_field_count", {"expected": 2, "received": 1}, "b\n"),
        (3, 4, "wrong_field_count", {"expected": 2, "received": 3}, "c,1,2\n"),
    ]


@pytest.mark.parametrize("broken", ['"never closed,1', '"shut" early,1'])
def test_a_broken_quote_costs_one_line(broken):
    columns, good, _, bad = read(f'text,n\na,1\n{broken}\nb,2\n"c",3\n')
    assert columns["text"] == ["a", "b", "c"]
    assert good == [(1, 2), (3, 4), (4, 5)]
    assert [(b.row, b.line, b.reason, b.raw) for b in bad] == [(2, 3, "broken_quotes", broken + "\n")]


def test_a_quote_that_never_closes_does_not_swallow_a_long_file(monkeypatch):
    monkeypatch.setattr(csv_reader, "MAX_ROW_CHARS", 100)
    rows = "".join(f"row {row},{row}\n" for row in range(500))
    columns, _, _, bad = read(f'text,n\n"open,0\n{rows}')
    assert len(columns["text"]) == 500
    assert [(b.row, b.line, b.reason) for b in bad] == [(1, 2, "broken_quotes")]
    assert bad[0].detail == {"received": "unexpected end of data"}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_rows_do_not_depend_on_how_lines_are_gathered(monkeypatch, chunk):
    content = 'text,n\n"a\n\nb\nc",1\n"open,2\nd,3\n"shut" early,4\n\n"e\nf",5\n"x,"\n"\n'
    expected = read(content)
    assert [bad.line for bad in expected[3]] == [6, 8, 12, 13]
    monkeypatch.setattr(csv_reader, "_CHUNK_LINES", chunk)
    assert read(content) == expected


def test_many_broken_rows_take_no_longer_than_sound_ones():
    *_, bad = read("text,n\n" + '"shut" early,1\n' * 20_000)
    assert len(bad) == 20_000


@pytest.mark.parametrize(("newline", "other"), [("\n", "\r"), ("\r", "\n")])
def test_the_other_line_end_is_text(newline, other):
    content = newline.join(["text,n", f"a{other}b,1", f'"c{other}d",2', ""])
    columns, good, _, bad = read(content, dialect=Dialect(newline=newline))
    assert columns == {"text": [f"a{other}b", f"c{other}d"], "n": ["1", "2"]}
    assert good == [(1, 2), (2, 3)]
    assert not bad


@pytest.mark.parametrize("value", ["x" * 3_000_000, "🙂👩‍👩‍👧", "مرحبا بالعالم", "a\0b", "\x1c\x85\u2028"])
def test_any_text_comes_through(value):
    columns, _, _, bad = read(f"text,n\n{value},1\n")
    assert columns["text"] == [value]
    assert not bad


def test_undecodable_bytes_matter_in_used_columns_only():
    columns, good, _, bad = read("text,n,x\na\udcff,1,\nb,2,\udcff\n")
    assert columns["text"] == ["b"]
    assert good == [(2, 3)]
    assert [(b.row, b.reason, b.detail) for b in bad] == [(1, "undecodable", {"column": "text"})]


def test_batches_end_by_rows_and_by_size(monkeypatch):
    from components.example_gen.readers import batch

    content = "text,n\n" + "abcdefghij,1\n" * 100
    monkeypatch.setattr(batch, "MAX_BATCH_ROWS", 30)
    sizes = [len(b.rows) for b in read_csv(io.StringIO(content), Dialect(), ("text",))]
    assert sizes == [30, 30, 30, 10]
    monkeypatch.setattr(batch, "MAX_BATCH_BYTES", 130)
    assert {len(b.rows) for b in read_csv(io.StringIO(content), Dialect(), ("text",))} == {10}


def test_the_header_loses_white_space_only():
    assert read_header(io.StringIO(' text ,"a, b",\n1,2,3\n'), Dialect()) == ["text", "a, b", ""]
    assert read_header(io.StringIO(""), Dialect()) == []
