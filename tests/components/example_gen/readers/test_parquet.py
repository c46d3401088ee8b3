import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.errors import InputDataError
from components.example_gen.readers import parquet
from components.example_gen.readers.parquet import check_types, read_parquet, row_group_runs


@pytest.fixture
def path(tmp_path):
    table = pa.table({"n": range(100), "text": [f"text {n}" for n in range(100)], "unused": [[n] for n in range(100)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=30)
    return str(tmp_path / "a.parquet")


def test_runs_of_row_groups_cover_every_row_once(path, monkeypatch):
    metadata = pq.read_metadata(path)
    assert row_group_runs(metadata) == [(0, 4, 0)]
    monkeypatch.setattr(parquet, "ROWS_PER_UNIT", 50)
    assert row_group_runs(metadata) == [(0, 2, 0), (2, 4, 60)]
    rows = [n for run in row_group_runs(metadata) for batch in read_parquet(path, ("n",), *run) for n in batch.rows]
    assert rows == list(range(1, 101))


def test_rows_keep_their_numbers_and_values(path):
    batches = list(read_parquet(path, ("text", "n"), 1, 2, 30))
    assert batches[0].rows[0] == 31
    assert batches[0].columns["n"][0].as_py() == 30
    assert batches[0].raw(2) == {"text": "text 32", "n": 32}


def test_long_values_make_small_batches(tmp_path, monkeypatch):
    pq.write_table(pa.table({"text": [str(n) * 5000 for n in range(64)]}), tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "MAX_BATCH_BYTES", 50_000)
    sizes = [len(batch.rows) for batch in read_parquet(str(tmp_path / "a.parquet"), ("text",), 0, 1, 0)]
    assert sum(sizes) == 64
    assert max(sizes) < 20


def test_lists_are_refused(path):
    with pytest.raises(InputDataError, match=r"Column `unused` of `a` must hold one value a row. Received: list<"):
        check_types(pq.read_schema(path), ("n", "unused"), "a")
