import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.check import as_number, as_text, check
from components.example_gen.readers.batch import Batch


def batch_of(**columns):
    defaults = {"Review Text": ["fine"], "Age": ["30"], "Shop": ["north"], "Liked": ["yes"]}
    given = {name.replace("_", " "): values for name, values in columns.items()}
    size = len(next(iter(given.values())))
    arrays = {name: pa.array(values * size) for name, values in defaults.items()}
    arrays |= {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in given.items()}
    return Batch(arrays, np.arange(1, size + 1), None, lambda at: at)


def bad(checked):
    return [(row.row, row.reason, row.detail) for row in checked.bad]


def test_missing_values_are_null_and_the_label_is_trimmed(make_options):
    checked = check(
        batch_of(Review_Text=[" \n", "a "], Age=["", " 1.5e1 "], Shop=["", " x"], Liked=[" yes", "no"]), make_options()
    )
    assert {name: values.to_pylist() for name, values in checked.features.items()} == {
        "review_text": [None, "a "],
        "age": [None, 15.0],
        "shop": [None, " x"],
        "label": ["yes", "no"],
    }
    assert not checked.bad


def test_each_bad_row_has_the_first_of_its_reasons(make_options):
    options = make_options(split_by="Shop", on_empty_text="quarantine")
    checked = check(
        batch_of(
            Review_Text=["", "a", "a", "", "a"],
            Age=["x", "x", "12x", "1", "1"],
            Shop=["", "", "s", "s", "s"],
            Liked=["", "y", "y", "y", "y"],
        ),
        options,
    )
    assert bad(checked) == [
        (1, "missing_label", {"column": "Liked"}),
        (2, "missing_value", {"column": "Shop"}),
        (3, "not_a_number", {"column": "Age", "received": "12x"}),
        (4, "empty_text", {"column": "Review Text"}),
    ]
    assert checked.num_rows == 1
    assert checked.group.to_pylist() == ["s"]


def test_a_label_may_be_a_number_or_several_classes(make_options):
    labels = [
        {"name": "age", "column": "Age", "type": "number"},
        {"name": "shops", "column": "Shop", "type": "categories", "separator": ";"},
    ]
    columns = [{"name": "text", "column": "Review Text", "type": "text"}]
    options = make_options(labels=labels, columns=columns)
    checked = check(batch_of(Age=["1.5", "", "x", "2"], Shop=["b; a;b", "a", "a", " ; "]), options)
    assert bad(checked) == [
        (2, "missing_label", {"column": "Age"}),
        (3, "not_a_number", {"column": "Age", "received": "x"}),
    ]
    assert checked.features["age"].to_pylist() == [1.5, 2.0]
    assert checked.features["shops"].to_pylist() == [["a", "b"], None]  # each once, in order; and none at all


def test_a_text_in_any_text_column_will_do(make_options):
    columns = [
        {"name": name, "column": column, "type": "text"} for name, column in (("a", "Review Text"), ("b", "Shop"))
    ]
    options = make_options(columns=columns, on_empty_text="quarantine")
    checked = check(batch_of(Review_Text=["", " ", "x"], Shop=["y", None, None]), options)
    assert bad(checked) == [(2, "empty_text", {"column": "Review Text, Shop"})]


@pytest.mark.parametrize("kind", ["text", "number", "category"])
def test_a_required_value_must_be_there(make_options, kind):
    options = make_options(columns=[{"name": "f", "column": "Age", "type": kind, "required": True}])
    checked = check(batch_of(Age=["1", "", None, " " if kind != "category" else ""]), options)
    assert bad(checked) == [(row, "missing_value", {"column": "Age"}) for row in (2, 3, 4)]


def test_a_column_that_a_batch_lacks_is_missing(make_options):
    batch = batch_of(Age=["1"])
    del batch.columns["Shop"]
    assert check(batch, make_options()).features["shop"].to_pylist() == [None]


@pytest.mark.parametrize("text", ["1", "+1", "-1.", ".5", "1e5", "1E-5", "007", "1.4e-45", "0"])
def test_numbers_are_read(text):
    numbers, wrong = as_number(pa.array([text]))
    assert numbers.to_pylist() == [float(np.float32(float(text)))]
    assert not wrong.any()


@pytest.mark.parametrize("text", ["", " ", "NaN", "nan", "N/A", "NULL", "None", None])
def test_words_for_no_number_are_missing(text):
    numbers, wrong = as_number(pa.array([text], pa.string()))
    assert numbers.to_pylist() == [None]
    assert not wrong.any()


@pytest.mark.parametrize(
    "text", ["1,5", "1_000", "abc", "0x10", "inf", "-Infinity", "1e39", "12 34", "１２", "1\0", "--1"]
)
def test_what_is_no_finite_number_is_wrong(text):
    numbers, wrong = as_number(pa.array([text]))
    assert numbers.to_pylist() == [None]
    assert wrong.all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None]), [1.0, None]),
        (pa.array([2**40, None]), [float(2**40), None]),
        (pa.array([1.5, float("nan")]), [1.5, None]),
        (pa.array([decimal.Decimal("1.25"), None]), [1.25, None]),
        (pa.array([b"3", None]), [3.0, None]),
        (pa.array(["3", None]).dictionary_encode(), [3.0, None]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_numbers_of_any_arrow_type(values, expected):
    numbers, wrong = as_number(values)
    assert numbers.type == pa.float32()
    assert numbers.to_pylist() == expected
    assert not wrong.any()


def test_a_date_is_no_number():
    assert as_number(pa.array([datetime.date(2024, 1, 1)]))[1].all()


def test_text_of_any_arrow_type():
    text, damaged = as_text(pa.array([b"a", b"\xff", None]))
    assert text.to_pylist()[::2] == ["a", None]
    assert damaged.tolist() == [False, True, False]
    assert as_text(pa.array([True]))[0].to_pylist() == ["true"]
    assert as_text(pa.array([1.0, 2.5]))[0].to_pylist() == ["1", "2.5"]
    assert as_text(pa.nulls(1))[0].type == pa.large_string()


def test_undecodable_bytes_are_refused(make_options):
    checked = check(batch_of(Review_Text=[b"ok", b"caf\xe9"]), make_options())
    assert bad(checked) == [(2, "undecodable", {"column": "Review Text", "received": "caf\\xe9"})]


def test_an_empty_batch_passes(make_options):
    columns = {name: pa.array([], pa.large_string()) for name in ("Review Text", "Age", "Shop", "Liked")}
    assert check(Batch(columns, np.array([], np.int64), None, str), make_options()).num_rows == 0
