"""The page of a run, as a browser takes it."""

import json
import re

import jsonschema
import pytest

from pipeline.report.facts import RunReport, json_schema
from pipeline.report.page import render_page, render_summary
from tests.pipeline.report.browser import drawn_in_browser, in_browser, needs_browser
from tests.pipeline.report.page_parts import Page

PARTS = ("data", "training", "search", "started", "live_version", "deletion")
NOTHING = dict.fromkeys(PARTS) | {
    name: [] for name in ("steps", "metrics", "heads", "slices", "gates", "examples", "lineage")
}
A4 = 718
"""Pixels of CSS between margins of a centimetre."""
MANY = tuple(f"class {number}" for number in range(200))


def test_the_page_needs_nothing_but_itself(make_record):
    markup = render_page(make_record())
    page = Page(markup)
    assert page.tags["svg"] == 8, "four distributions, one metric by epoch, one calibration, deletion and insertion"
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == 0
    assert page.references
    assert all(reference.startswith("#") for reference in page.references), page.references
    assert {reference[1:] for reference in page.references} <= page.ids.keys()
    assert not [name for name, times in page.ids.items() if times > 1]
    assert "http:" not in markup
    assert "https:" not in markup
    assert "@import" not in markup
    assert all(name.startswith("#") for name in re.findall(r"url\((.*?)\)", markup))


def test_what_comes_from_a_table_is_shown_and_never_run(make_record):
    markup = render_page(make_record())
    page = Page(markup)
    assert page.tags["script"] == 0
    text = "".join(page.text)
    assert text.count("<script>alert('1')</script>|&") >= 8
    for part in (
        "occlusion (20 rows)",
        "those words alone",
        "1 h 1 min",
        "max drop 0.05",
        "-0.1000",
        "✗ closed",
        "/data/a & b.csv",
        "test row 7",
    ):
        assert part in text, part
    assert 'title="75.0%"' in markup


def test_of_many_distributions_those_of_which_a_gate_speaks_are_drawn_first(make_record):
    report = make_record()
    like = report.data.distributions[0].model_dump()
    many = [{**like, "name": f"feature {number}"} for number in range(30)]
    gate = {**report.gates[0].model_dump(), "name": "skew/feature 29"}
    data = {**report.data.model_dump(), "distributions": many}
    markup = render_page(make_record(data=data, gates=[gate]))
    assert Page(markup).tags["svg"] == 24 + 4
    assert markup.index("feature 29</text>") < markup.index("feature 0</text>")
    assert "feature 28</text>" not in markup
    assert "24 of 30; all of them are in run.json" in "".join(Page(markup).text)


def test_the_reason_stands_before_all_else(make_record):
    text = "".join(Page(render_page(make_record())).text)
    assert text.index("blocked") < text.index("gate metric/accuracy") < text.index("rows read") < text.index("epoch")


def test_many_classes_become_a_list_of_confusions_and_the_page_stays_small(make_record):
    markup = render_page(make_record(MANY))
    assert len(markup.encode()) < 200_000
    page = Page(markup)
    text = "".join(page.text)
    assert "Most frequent confusions" in text
    assert "is ↓ said →" not in text
    assert "of 200; all of them are in run.json" in text


def test_a_run_that_did_nothing_has_a_page(make_record):
    text = "".join(Page(render_page(make_record(**NOTHING, verdict="failed", why="There is no file."))).text)
    assert "failed" in text
    assert "There is no file." in text
    for absent in ("Data", "Metrics", "Gates", "Calibration", "Lineage", "None"):
        assert absent not in text


def test_a_search_is_shown_trial_by_trial_and_what_the_training_took_of_it(make_record):
    text = "".join(Page(render_page(make_record())).text)
    assert "2 trials, judged by accuracy on the eval split." in text
    assert text.index("train.learning_rate 0.0021") < text.index("no number: <script>")
    assert "- tuned: train.learning_rate 0.0021" in render_summary(make_record()).splitlines()


def test_the_summary_is_markdown_that_no_name_breaks(make_record):
    lines = render_summary(make_record()).splitlines()
    assert lines[0] == "# reviews: blocked"
    assert "- rows: 1,002 read, 1,000 used, 2 in quarantine (2 no label)" in lines
    assert "- gates: 1 of 2 passed" in lines
    assert (
        "- without 1, 2, 5 words the answer moves by 0.2 (attention, 97 rows), 0.17 (random, 97 rows), "
        "0.21 (attention, 20 rows), 0.26 (occlusion, 20 rows) on average"
    ) in lines
    assert "| accuracy | 0.8 | 0.9 | max drop 0.05 |" in lines
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert len(render_summary(make_record(**NOTHING)).splitlines()) < 8


def test_the_json_is_as_its_schema_says_and_can_be_read_again(make_record):
    report = make_record()
    text = report.model_dump_json()
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(text))
    assert RunReport.model_validate_json(text) == report


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_all_plots_and_need_not_scroll_sideways(make_record, tmp_path, width, scheme):
    record = make_record(MANY[:12])
    found, drawn, ink = drawn_in_browser(render_page(record), tmp_path, width, scheme)
    assert found <= width
    assert drawn == [True] * 8
    assert ink == ("dark" if scheme == "light" else "light")


@needs_browser
def test_on_paper_nothing_is_cut_off_and_the_ground_is_white_though_the_screen_is_dark(make_record, tmp_path):
    names = [f"{name} with quite a long name" for name in MANY[:12]]
    markup = render_page(make_record(names)).replace("@media print", "@media all")
    asked = "page.documentElement.scrollWidth + ' ' + getComputedStyle(page.body).backgroundColor"
    asked += " + ' ' + matchMedia('(prefers-color-scheme: dark)').matches"
    found = in_browser(markup, tmp_path, A4, asked, "dark")
    width, rest = found.split(" ", 1)
    assert int(width) <= A4
    assert rest == "rgb(255, 255, 255) true"


def test_a_gate_shows_the_rows_that_decided_and_who_let_it_pass(make_record):
    gate = {"name": "leak/age", "passed": False, "value": 0.9, "limit": 0.5, "why": "It leaks.", "severity": "block"}
    shown = make_record(gates=[{**gate, "rows": ["age=7, text=fine"], "overruled": "known before the label"}])
    text = "".join(Page(render_page(shown)).text)
    assert "age=7, text=fine" in text
    assert "Overruled: known before the label" in text
    assert "closed" not in text
    assert "overruled: `leak/age`" in render_summary(shown)
