"""Gates that look at rows: what they say does not depend on how the rows are read."""

from pathlib import Path

import numpy as np
import pytest

from components.data_gate import row_gates, table
from components.data_gate.fingerprints import fingerprints_of
from components.schema_gen.options import ValidationOptions

FEATURES, LABELS = {"review": "text", "department": "category", "age": "number"}, {"label": "category"}
WORDS = [f"word{number}" for number in range(500)]


@pytest.fixture(scope="module")
def files(tables, tmp_path_factory):
    """Split → its files: of 40 rows of eval 10 stand in train, 5 nearly, 5 with another label; departments tell it."""
    generator = np.random.default_rng(0)
    texts = [list(generator.choice(WORDS, 20)) for _ in range(230)]
    rows = [
        {"label": label, "review": " ".join(text), "department": f"for {label}", "age": float(at)}
        for at, text in enumerate(texts)
        for label in (str(generator.choice(["no", "yes"])),)
    ]
    train, fresh = rows[:200], rows[200:]
    other = {"no": "yes", "yes": "no"}
    odd = [{**row, "label": other[row["label"]]} for row in train[50:55]]
    near = [{**row, "review": f"{row['review']} and more"} for row in train[100:105]]
    splits = {"train": [*train, *train[50:55], *odd], "eval": [*train[:10], *near, *fresh[:25]], "test": fresh[25:]}
    folder = tmp_path_factory.mktemp("rows")
    tables.write_examples(folder, splits)
    return {split: [str(path) for path in Path(folder, f"Split-{split}").iterdir()] for split in splits}


@pytest.fixture
def gates(files, tmp_path):
    """Function without arguments: the gates by name."""

    def run():
        made = row_gates.row_gates(files, FEATURES, LABELS, tmp_path, None, 0, ValidationOptions())
        return {gate.name: gate for gate in made}

    return run


def test_equal_and_nearly_equal_rows_are_counted_and_shown(gates):
    found = gates()
    assert (found["duplicates/eval"].value, found["duplicates/test"].value) == (10 / 40, 0)
    assert found["near_duplicates/eval"].value == 5 / 40
    (first, *_) = found["near_duplicates/eval"].rows
    ours, theirs = first.split(" ~ ")
    assert ours[: ours.index("…")] == theirs[: theirs.index("…")]
    assert "age=100" in ours
    assert "age=100" in theirs
    assert found["label_conflicts"].value == 5 / 210
    assert "elsewhere label=" in found["label_conflicts"].rows[0]
    assert not found["leak/department"].passed


def test_the_size_of_the_pieces_changes_nothing(gates, monkeypatch):
    whole = gates()
    monkeypatch.setattr(table, "_BATCH", 7)
    assert gates() == whole


def test_some_rows_read_again_are_those_rows(files, monkeypatch):
    monkeypatch.setattr(table, "_BATCH", 7)
    whole = table.read_table(files["train"], FEATURES)
    rows = np.array([0, 6, 7, 20, 209])
    some = table.read_rows(files["train"], FEATURES, rows)
    assert some.num_rows == 5
    for name in FEATURES:
        assert some.columns[name].equals(whole.columns[name].take(rows))
    assert table.read_rows(files["train"], FEATURES, rows[:0]).num_rows == 0
    assert not table.read_table(files["train"], FEATURES, 209).whole
    assert table.read_table(files["train"], FEATURES, 210).whole


def test_leaks_are_found_in_a_sample_and_the_gate_says_so(gates, monkeypatch):
    monkeypatch.setattr(row_gates, "SAMPLED_ROWS", 50)
    found = gates()
    assert found["leak/department"].value > 0.9
    assert found["leak/department"].why.endswith("(Of at most 50 rows of each split, evenly spread.)")
    assert found["duplicates/eval"].value == 10 / 40


def test_a_row_is_kept_in_a_few_bytes(files):
    kept = fingerprints_of(files["train"], FEATURES, LABELS)
    assert kept.num_rows == 210
    assert sum(part.nbytes for part in (kept.keys, kept.lengths, kept.bands)) == 44 * 210
    assert kept.labels["label"].nbytes < 5 * 210
