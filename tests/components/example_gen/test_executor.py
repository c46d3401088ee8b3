import csv
import gzip
import hashlib
import io
import json
import random

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components.example_gen.errors import InputDataError
from components.example_gen.executor import split_weights
from components.example_gen.options import SplitRatio

pytestmark = pytest.mark.slow


def texts(rows):
    return sorted(row["review_text"] for row in rows)


def write_csv(path, rows, header=("Review Text", "Age", "Shop", "Liked")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_csv_becomes_three_splits_of_examples(run_example_gen, write_reviews):
    outcome = run_example_gen(write_reviews())
    assert outcome.artifact.split_names == '["train", "eval", "test"]'
    by_split = outcome.rows_by_split()
    assert sum(by_split.values()) == 200
    assert {split: len(outcome.rows(split)) for split in by_split} == by_split
    assert texts(outcome.all_rows()) == sorted(f"review number {row}" for row in range(200))
    assert outcome.artifact.get_int_custom_property("rows_read") == 200
    assert outcome.artifact.get_int_custom_property("rows_used") == 200
    assert outcome.artifact.get_int_custom_property("rows_quarantined") == 0
    assert outcome.artifact.get_string_custom_property("quarantine_file") == ""
    assert outcome.artifact.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    row = next(row for row in outcome.all_rows() if row["review_text"] == "review number 3")
    assert row == {"review_text": "review number 3", "age": 23.0, "label": "1"}


def test_every_format_gives_the_same_splits(run_example_gen, write_reviews, tmp_path):
    path = write_reviews()
    expected = {split: texts(run_example_gen(path).rows(split)) for split in ("train", "eval", "test")}
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    table = pa.csv.read_csv(path)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=50)
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, table.to_pylist())))
    with gzip.open(tmp_path / "a.tsv.gz", "wt", encoding="utf-16", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(rows[0])
        writer.writerows(random.Random(0).sample([list(row.values()) for row in rows], len(rows)))
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord.gz"), "GZIP") as records:
        for row in rows:
            features = {key: tf.train.Feature(bytes_list={"value": [value.encode()]}) for key, value in row.items()}
            records.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    for name in ("a.parquet", "a.jsonl", "a.tsv.gz", "a.tfrecord.gz"):
        outcome = run_example_gen(tmp_path / name)
        assert {split: texts(outcome.rows(split)) for split in expected} == expected, name


def test_a_folder_of_files_gives_the_same_splits_as_one_file(run_example_gen, write_reviews, tmp_path):
    whole = run_example_gen(write_reviews("whole.csv", 200))
    write_reviews("parts/one.csv.gz", 120, start=80)
    write_reviews("parts/a.csv", 80)
    (tmp_path / "parts" / "empty.csv").touch()
    (tmp_path / "parts" / "README.md").write_text("no table")
    parts = run_example_gen(tmp_path / "parts")
    assert parts.artifact.get_int_custom_property("rows_read") == 200
    for split in ("train", "eval", "test"):
        assert texts(parts.rows(split)) == texts(whole.rows(split))
    unseen = run_example_gen("", inputs=(str(tmp_path), [("all", "parts")]))  # resolved on another machine
    assert unseen.artifact.get_int_custom_property("rows_read") == 200


def test_the_same_text_stays_on_one_side(run_example_gen, tmp_path):
    rows = [[f"Review {row % 60}" + " " * (row % 3), row % 80, "", row % 2] for row in range(600)]
    random.Random(1).shuffle(rows)
    outcome = run_example_gen(write_csv(tmp_path / "a.csv", rows))
    sides = [{row["review_text"].strip() for row in outcome.rows(split)} for split in ("train", "eval", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 60


def test_split_by_keeps_a_columns_rows_together(run_example_gen, tmp_path):
    rows = [[f"text {row}", 1, "", row % 2, f"customer {row % 50}"] for row in range(500)]
    path = write_csv(tmp_path / "a.csv", rows, ("Review Text", "Age", "Shop", "Liked", "Customer"))
    customer = {"name": "customer", "column": "Customer", "type": "passthrough"}
    text = {"name": "review_text", "column": "Review Text", "type": "text"}
    outcome = run_example_gen(path, split_by="Customer", columns=[text, customer])
    sides = [{row["customer"] for row in outcome.rows(split)} for split in ("train", "eval", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 50


def test_given_splits_are_kept_and_a_missing_eval_is_cut_from_train(run_example_gen, write_reviews):
    data = {"train": write_reviews("train.csv", 200), "test": write_reviews("other/test.csv", 30, start=1000)}
    outcome = run_example_gen(data)
    assert outcome.artifact.split_names == '["train", "eval", "test"]'
    assert texts(outcome.rows("test")) == sorted(f"review number {row}" for row in range(1000, 1030))
    assert outcome.artifact.get_string_custom_property("test_file") == str(data["test"])
    assert len(outcome.rows("train")) + len(outcome.rows("eval")) == 200
    assert 5 < len(outcome.rows("eval")) < 50


def test_a_split_of_several_paths_holds_the_rows_of_all_once(run_example_gen, write_reviews):
    days = [write_reviews(f"day-{day}.csv", 40, start=1000 * day) for day in range(4)]
    outcome = run_example_gen({"train": [*days[:3], days[0]], "test": days[3]})
    assert texts(outcome.rows("test")) == sorted(f"review number {row}" for row in range(3000, 3040))
    trained = [row for day in range(3) for row in range(1000 * day, 1000 * day + 40)]
    assert sorted(texts(outcome.rows("train")) + texts(outcome.rows("eval"))) == sorted(
        f"review number {row}" for row in trained
    )


def hash_of(text, salt):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, salt=salt.to_bytes(16, "big")).digest(), "big")


def test_rows_of_older_spans_are_replayed_in_train_and_stay_chosen(run_example_gen, write_reviews, tmp_path):
    days = [write_reviews(f"day-{day}.csv", 40, start=1000 * day) for day in range(6)]
    with days[1].open("a") as file:
        file.write("1040,no label,20,north,\n")

    def ingest(newest):
        inputs = {"train": days[newest - 2 : newest], "test": days[newest], "replay": days[: newest - 2]}
        outcome = run_example_gen(inputs, replay=0.25)
        return outcome, {int(text.split()[-1]) for text in texts(outcome.rows("train"))}

    def expected(day):
        of_day = {row: f"review number {row}" for row in range(1000 * day, 1000 * day + 40)}
        # Their own split would give them to train, and they are in the share.
        return {
            row
            for row, text in of_day.items()
            if hash_of(text, 0) % 9 < 8 and hash_of(text, 1 << 64) % 1_000_000 < 250_000
        }

    outcome, trained = ingest(4)
    replayed = {row for row in trained if row < 2000}
    assert replayed == expected(0) | expected(1)
    assert 8 <= len(replayed) <= 28
    assert outcome.artifact.split_names == '["train", "eval", "test"]'
    others = [int(text.split()[-1]) for text in texts(outcome.rows("eval")) + texts(outcome.rows("test"))]
    assert min(others) >= 2000
    counted = {
        name: outcome.artifact.get_int_custom_property(name)
        for name in (
            "rows_read",
            "rows_used",
            "rows_quarantined",
            "rows_passed_over",
            "rows_replayed",
            "spans_replayed",
        )
    }
    assert counted == {
        "rows_read": 201,
        "rows_used": 120 + len(replayed),
        "rows_quarantined": 1,
        "rows_passed_over": 80 - len(replayed),
        "rows_replayed": len(replayed),
        "spans_replayed": 2,
    }
    assert [(row["file"], row["reason"]) for row in outcome.quarantined()] == [("day-1.csv", "missing_label")]

    _, trained = ingest(5)  # the next day: day 2 has left the window
    assert {row for row in trained if row < 2000} == replayed
    assert {row for row in trained if 2000 <= row < 3000} == expected(2)


def test_without_older_spans_nothing_is_told_of_them(run_example_gen, write_reviews):
    outcome = run_example_gen(write_reviews(), replay=0.25)
    assert not outcome.artifact.has_custom_property("spans_replayed")
    assert outcome.artifact.get_int_custom_property("rows_used") == 200


def test_train_gives_only_what_is_missing():
    ratio = SplitRatio(train=8, eval=1, test=2)
    assert split_weights("all", ["all"], ratio) == (("train", 8), ("eval", 1), ("test", 2))
    assert split_weights("train", ["train", "test"], ratio) == (("train", 8), ("eval", 1))
    assert split_weights("train", ["train", "eval", "test"], ratio) == (("train", 8),)
    assert split_weights("test", ["train", "test"], ratio) == (("test", 1),)


def test_bad_rows_are_quarantined_with_all_that_mends_them(run_example_gen, write_reviews):
    path = write_reviews(num_rows=300)
    with path.open("ab") as file:
        file.write(
            b'300,"two\nlines",old,x,1\r\n301,short\r\n302,caf\xe9,1,x,0\r\n303,no label,1,x,\r\n304,"open,1,x,1\r\n'
        )
    outcome = run_example_gen(path)
    assert outcome.reasons() == dict.fromkeys(
        ("not_a_number", "wrong_field_count", "undecodable", "missing_label", "broken_quotes"), 1
    )
    assert outcome.artifact.get_int_custom_property("rows_read") == 305
    assert outcome.artifact.get_int_custom_property("rows_used") == 300
    assert outcome.artifact.get_string_custom_property("quarantine_file") == str(
        outcome.quarantine_dir / "reviews.csv.jsonl"
    )
    found = [(row["row"], row["line"], row["reason"], row["raw"]) for row in outcome.quarantined()]
    assert found == [
        (301, 302, "not_a_number", '300,"two\nlines",old,x,1\r\n'),
        (302, 304, "wrong_field_count", "301,short\r\n"),
        (303, 305, "undecodable", "302,caf\\xe9,1,x,0\r\n"),
        (304, 306, "missing_label", "303,no label,1,x,\r\n"),
        (305, 307, "broken_quotes", '304,"open,1,x,1\r\n'),
    ]
    assert outcome.quarantined()[0]["detail"] == {"column": "Age", "received": "old"}
    assert {row["file"] for row in outcome.quarantined()} == {"reviews.csv"}


def test_a_mended_file_takes_its_quarantine_away(run_example_gen, write_reviews):
    path = write_reviews()
    with path.open("a") as file:
        file.write("1,2\n")
    assert len(run_example_gen(path).quarantined()) == 1
    assert run_example_gen(write_reviews()).quarantined() == []


def test_quarantine_of_row_groups_is_joined_in_order(run_example_gen, tmp_path, monkeypatch):
    monkeypatch.setattr("components.example_gen.readers.parquet.ROWS_PER_UNIT", 50)
    labels = ["" if row % 40 == 39 else "ab"[row % 2] for row in range(200)]
    table = pa.table(
        {"Review Text": [f"t{row}" for row in range(200)], "Age": range(200), "Shop": labels, "Liked": labels}
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=50)
    outcome = run_example_gen(tmp_path / "a.parquet")
    assert [(row["row"], row["line"]) for row in outcome.quarantined()] == [
        (row, None) for row in (40, 80, 120, 160, 200)
    ]
    assert outcome.quarantined()[0]["raw"] == {"Review Text": "t39", "Age": 39, "Shop": "", "Liked": ""}


@pytest.mark.parametrize("on_empty_text", ["use", "quarantine"])
def test_an_empty_text_is_used_or_quarantined(run_example_gen, tmp_path, on_empty_text):
    rows = [["" if row % 10 == 0 else f"text {row}", row, "", row % 2] for row in range(200)]
    outcome = run_example_gen(write_csv(tmp_path / "a.csv", rows), on_empty_text=on_empty_text)
    without = sum("review_text" not in row for row in outcome.all_rows())
    assert (without, outcome.reasons()) == ((20, {}) if on_empty_text == "use" else (0, {"empty_text": 20}))


def test_a_table_without_one_good_row_stops_the_run_and_is_kept(run_example_gen, tmp_path):
    rows = [[f"text {row}", "x", "", row % 2] for row in range(40)]
    message = (
        r"None of the 40 rows of `a.csv` can be used. Reasons: not_a_number 40. First: row 1 \(line 2\).*; "
        r"row 3 .*received 'x'. All of them, with their text: .*a.csv.jsonl"
    )
    with pytest.raises(InputDataError, match=message):
        run_example_gen(write_csv(tmp_path / "a.csv", rows))
    assert len((tmp_path / "quarantine" / "a.csv.jsonl").read_text().splitlines()) == 40


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("number", "77", r"`Liked` holds one number only, `7.0`, in all 2 rows. At least two numbers"),
        ("categories", "||", r"`Liked` holds no class in any of the 2 rows"),
    ],
)
def test_a_label_of_another_type_that_says_nothing_is_refused(run_example_gen, tmp_path, kind, values, message):
    path = tmp_path / "a.csv"
    path.write_text("Review Text,Age,Shop,Liked\n" + "".join(f"a,1,x,{value}\n" for value in values))
    with pytest.raises(InputDataError, match=message):
        run_example_gen(path, labels=[{"name": "label", "column": "Liked", "type": kind}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"`.*a.csv` is empty"),
        ("Review Text,Age,Shop,Liked\n", r"`a.csv` has columns but no rows"),
        (
            "Review Text,Age,Shop\na,1,x\n",
            r"`a.csv` has no column `Liked`. Its columns are: `Review Text`, `Age`, `Shop`",
        ),
        ("Review Text,Liked\na,1\n", r"`a.csv` has no column `Age`, `Shop`"),
        ("Review Text,Age,Age,Shop,Liked\na,1,1,x,1\n", r"names columns twice: Age"),
        ("Review Text,Age,Shop,Liked\n" + "a,1,x,yes\n" * 9, r"`Liked` holds one class only, `yes`, in all 9 rows"),
        ("Review Text,Age,Shop,Liked\na,1,x,yes\nb,1,x,no\n", r"No row fell to the split .* 2 rows are too few"),
    ],
)
def test_an_input_without_use_is_refused_in_one_sentence(run_example_gen, tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputDataError, match=message):
        run_example_gen(tmp_path / "a.csv")


def test_a_damaged_file_is_named(run_example_gen, write_reviews):
    path = write_reviews("reviews.csv.gz", 50_000)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputDataError, match=r"reviews.csv.gz` is damaged or cut off: its gzip data"):
        run_example_gen(path)


def test_texts_of_every_kind_come_through(run_example_gen, write_reviews):
    path = write_reviews()
    strange = [
        "x" * 3_000_000,
        "🙂👩‍👩‍👧",
        "مرحبا بالعالم",
        "zero\0byte",
        "two\r\nlines",
        "lone\rreturn",
        'say "hi", ok',
    ]
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[0, text, 1, "", 1] for text in strange])
    outcome = run_example_gen(path)
    assert set(strange) <= set(texts(outcome.all_rows()))
    assert outcome.reasons() == {}


def test_old_line_ends_and_a_pile_of_dialects(run_example_gen, tmp_path):
    rows = [[f"text; {row}", row, "x", row % 2] for row in range(200)]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";", lineterminator="\r", quoting=csv.QUOTE_ALL).writerows(
        [["Review Text", "Age", "Shop", "Liked"], *rows]
    )
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + buffer.getvalue().encode())
    assert texts(run_example_gen(tmp_path / "a.csv").all_rows()) == sorted(row[0] for row in rows)


@pytest.mark.slow
def test_worker_processes_give_the_same_splits(run_example_gen, write_reviews, tmp_path):
    whole = run_example_gen(write_reviews("whole.csv", 200))
    for part in range(4):
        write_reviews(f"parts/{part}.csv", 50, start=50 * part)
    parts = run_example_gen(
        tmp_path / "parts",
        beam_arguments=["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
    )
    for split in ("train", "eval", "test"):
        assert texts(parts.rows(split)) == texts(whole.rows(split))
