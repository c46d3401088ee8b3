import random

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.split import assign, choose_replayed, normalize, row_keys


def keys(options, group=None, **features):
    arrays = {"review_text": [None], "age": [None], "shop": [None]} | features
    size = max(map(len, arrays.values()))
    types = {"age": pa.float32()}
    arrays = {name: values * (size // len(values)) for name, values in arrays.items()}
    columns = {name: pa.array(v, types.get(name, pa.large_string())) for name, v in arrays.items()}
    return row_keys(columns, group, options).to_pylist()


def folded(text):
    return normalize(pa.array([text], pa.large_string()))[0].as_py()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Great  Dress!", "great\tdress! "), ("ﬁne", "FINE"), ("STRASSE", "straße"), ("a\u00a0b", "A B"), ("ｏｋ", "ok")],
)
def test_texts_that_read_the_same_have_one_key(one, other):
    assert folded(one) == folded(other)


def test_different_texts_differ():
    assert folded("not good") != folded("good")
    assert folded("é") != folded("e")


def test_the_longest_text_decides_whatever_the_title(make_options):
    columns = [{"name": name, "column": name, "type": "text"} for name in ("title", "body")]
    options = make_options(columns=columns)
    body = ["a long review of it"] * 3
    assert len(set(keys(options, title=["Love", None, "meh"], body=body, review_text=[None]))) == 1


def test_rows_without_text_go_by_all_that_the_model_sees(make_options):
    columns = [
        {"name": "age", "column": "a", "type": "number"},
        {"name": "shop", "column": "s", "type": "category"},
        {"name": "customer", "column": "c", "type": "passthrough"},
    ]
    options = make_options(columns=columns)
    found = keys(options, age=[1.0, 1.0, 2.0, 1.0], shop=["n", "n", "n", None], customer=["x", "y", "z", "z"])
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_split_by_overrules(make_options):
    found = keys(make_options(split_by="Customer"), group=pa.array(["x", "x"]), review_text=["a", "b"])
    assert found == ["x", "x"]


def test_places_are_fixed_for_ever():
    assert assign(pa.array(["", "a", "great dress", "很好"]), [8, 1, 1]).tolist() == [0, 0, 0, 0]
    assert assign(pa.array([f"text {row}" for row in range(12)]), [1, 1, 1]).tolist() == [
        0,
        1,
        0,
        2,
        1,
        1,
        2,
        2,
        0,
        2,
        2,
        2,
    ]


def test_shares_come_out_and_order_does_not_matter():
    texts = [f"text {row}" for row in range(20_000)]
    places = dict(zip(texts, assign(pa.array(texts), [8, 1, 1]), strict=True))
    shares = np.bincount(list(places.values())) / len(texts)
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    random.Random(0).shuffle(texts)
    assert dict(zip(texts, assign(pa.array(texts), [8, 1, 1]), strict=True)) == places


def test_another_seed_deals_anew_by_the_same_shares():
    keys = pa.array([f"text {row}" for row in range(5000)])
    first, other = (assign(keys, [8, 1, 1], seed) for seed in (0, 1))
    np.testing.assert_allclose(np.bincount(other) / len(other), [0.8, 0.1, 0.1], atol=0.02)
    both_in_test = np.mean((first == 2) & (other == 2))
    assert both_in_test == pytest.approx(0.01, abs=0.006)  # as two independent deals


def test_what_is_replayed_is_told_by_the_text_alone_and_not_by_the_split(make_options):
    texts = pa.array([f"text {row}" for row in range(5000)], pa.large_string())
    settings = {"split_by": "Customer", "columns": [{"name": "review_text", "column": "Review Text", "type": "text"}]}
    chosen = {
        share: choose_replayed({"review_text": texts}, make_options(replay=share, **settings))
        for share in (0.0, 0.1, 0.3, 1.0)
    }
    assert not chosen[0.0].any()
    assert chosen[1.0].all()
    assert chosen[0.1].mean() == pytest.approx(0.1, abs=0.02)
    assert (chosen[0.3] | ~chosen[0.1]).all()  # a greater share keeps what a smaller one has
    in_train = assign(texts, [8, 1]) == 0
    assert chosen[0.3][in_train].mean() == pytest.approx(0.3, abs=0.03)
