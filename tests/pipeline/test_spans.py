"""Spans and windows become paths: the right ones, whatever lies beside them."""

import datetime

import pytest
import yaml

from components.example_gen.errors import InputDataError
from pipeline import spans
from pipeline.config import ConfigError, override, parse

RAW = {
    "name": "mood",
    "data": {"input": "mood.csv", "label": "mood"},
    "features": {"review": "text"},
    "evaluation": {"gates": {"accuracy": {"min": 0.6}}},
}


@pytest.fixture
def days(tmp_path):
    """Files of five days, with much that is none."""
    for name in ("20260101", "20260102", "20260103", "20260105", "20260110"):
        (tmp_path / "days" / name).mkdir(parents=True)
        (tmp_path / "days" / name / "rows.csv").touch()
        (tmp_path / f"mood-{name}.csv").touch()
    for name in ("20261399", "2026011", "latest", "20260111"):
        (tmp_path / "days" / name).mkdir()
    (tmp_path / "days" / "20261399" / "rows.csv").touch()
    (tmp_path / "mood-20260112.csv.part").touch()
    return tmp_path


def resolved(path, *settings, until=None):
    raw = RAW | {"data": RAW["data"] | {"input": path}}
    return spans.with_files(parse(override(raw, settings)), until).data


def test_the_newest_span_is_read(days):
    assert resolved(f"{days}/mood-{{DATE}}.csv").input == f"{days}/mood-20260110.csv"
    assert resolved(f"{days}/days/{{DATE}}").input == f"{days}/days/20260110"
    assert resolved(f"{days}/days/{{DATE}}/*.csv").input == f"{days}/days/20260110/*.csv"


def test_a_window_trains_on_the_spans_before_the_newest(days):
    data = resolved(f"{days}/mood-{{DATE}}.csv", "data.window.train=3")
    assert data.input == {
        "train": [f"{days}/mood-2026010{day}.csv" for day in (2, 3, 5)],
        "test": f"{days}/mood-20260110.csv",
    }
    assert data.window is None
    data = resolved(f"{days}/mood-{{DATE}}.csv", "data.window.train=30", until=datetime.date(2026, 1, 4))
    assert data.input == {
        "train": [f"{days}/mood-2026010{day}.csv" for day in (1, 2)],
        "test": f"{days}/mood-20260103.csv",
    }


def test_what_lies_before_the_window_is_replayed(days):
    settings = ["data.window.train=2", "data.replay=0.5"]
    data = resolved(f"{days}/mood-{{DATE}}.csv", *settings)
    assert data.input == {
        "train": [f"{days}/mood-2026010{day}.csv" for day in (3, 5)],
        "test": f"{days}/mood-20260110.csv",
        "replay": [f"{days}/mood-2026010{day}.csv" for day in (1, 2)],
    }
    raw = RAW | {"data": RAW["data"] | {"input": f"{days}/mood-{{DATE}}.csv"}}
    once = spans.with_files(parse(override(raw, settings)))
    assert spans.with_files(once) == once
    assert once.example_gen_options("/quarantine").replay == 0.5
    assert parse(yaml.safe_load(once.to_yaml())) == once
    data = resolved(f"{days}/mood-{{DATE}}.csv", *settings, until=datetime.date(2026, 1, 3))
    assert "replay" not in data.input  # the window holds all that is there
    assert not data.replay
    assert "replay" not in resolved(f"{days}/mood-{{DATE}}.csv", "data.window.train=2").input


def test_the_first_span_is_cut_by_itself(days):
    data = resolved(f"{days}/mood-{{DATE}}.csv", "data.window.train=3", until=datetime.date(2026, 1, 1))
    assert data.input == f"{days}/mood-20260101.csv"


def test_numbers_go_by_size_and_keep_their_zeros(tmp_path):
    for name in ("span-9/a.csv", "span-10/a.csv", "span-011/a.csv", "span-x/a.csv", "span-12/b.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    data = resolved(f"{tmp_path}/span-{{SPAN}}/a.csv", "data.window.train=1")
    assert data.input == {"train": [f"{tmp_path}/span-10/a.csv"], "test": f"{tmp_path}/span-011/a.csv"}
    assert resolved(f"{tmp_path}/span-{{SPAN:2}}/?.csv").input == f"{tmp_path}/span-10/?.csv"


def test_a_span_that_stands_twice_is_the_same_in_both_places(tmp_path):
    for name in ("1/day-1.csv", "2/day-2.csv", "3/day-1.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert resolved(f"{tmp_path}/{{SPAN}}/[a-e]ay-{{SPAN}}.csv").input == f"{tmp_path}/2/[a-e]ay-2.csv"


def test_what_holds_no_spans_stays_and_twice_is_once(days):
    assert resolved("mood.csv").input == "mood.csv"
    both = resolved({"train": ["a.csv", "b.csv"], "test": "c.csv"})
    assert both.input == {"train": ["a.csv", "b.csv"], "test": "c.csv"}
    assert resolved({"train": "a-{SPAN}.csv", "test": "b-{SPAN}.csv"}).input["train"] == "a-{SPAN}.csv"
    assert resolved("{YYYY}-{MM}-{DD}.csv").input == "{YYYY}-{MM}-{DD}.csv"
    assert resolved(resolved(f"{days}/mood-{{DATE}}.csv", "data.window.train=3").input).input["train"]


@pytest.mark.parametrize(
    ("path", "settings", "message"),
    [
        ("mood.csv", ["data.window.train=2"], "`data.window` rolls over spans: put {SPAN} or {DATE}"),
        ({"train": "a-{DATE}.csv", "test": "b-{DATE}.csv"}, [], "spans stand in one path"),
        ({"train": "a-{SPAN}.csv", "test": "b-{SPAN}.csv"}, ["data.window.train=2"], "spans stand in one path"),
        ({"train": "a.csv", "replay": "b.csv"}, [], "`data.replay` must say which share"),
        ("mood.csv", ["data.replay=0.1"], "`data.replay` takes rows of the spans before `data.window`"),
        (
            "mood.csv",
            ["data.window.train=2", "data.replay=0.1"],
            "`data.window` rolls over spans: put {SPAN} or {DATE}",
        ),
        ("mood.csv", ["data.replay=1.5"], "`data.replay`: Input should be less than or equal to 1"),
        ("mood.csv", ["data.window.train=0"], "`data.window.train`: Input should be greater than or equal to 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(path, settings, message):
    with pytest.raises(ConfigError, match=message):
        resolved(path, *settings)


def test_no_span_yet_is_said(days):
    with pytest.raises(InputDataError, match=r"no span matches `.*/none-{DATE}.csv` yet"):
        resolved(f"{days}/none-{{DATE}}.csv")
    with pytest.raises(InputDataError, match="no span up to 2025-12-31 matches"):
        resolved(f"{days}/mood-{{DATE}}.csv", until=datetime.date(2025, 12, 31))
