"""Frozen test sets: what falls is found, what was trained on does not count, and the sets stay few."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.data_gate.table import Table
from components.release_gate.forgetting import Asked, forgetting_gate
from components.release_gate.kept_rows import Keep, KeptSet, thinned
from components.release_gate.options import ForgettingGate, HeadOptions
from components.release_gate.sample import Answers, Sample

ROWS = 200
CLASSES = (b"no", b"yes")
NONE = np.zeros(ROWS, bool)


@pytest.fixture
def kept():
    """200 rows, all `yes`, half of them told right while they were new; in the file they stand backwards."""
    texts = [f"row {row}" for row in range(ROWS)]
    table = Table({"text": pa.array(texts)}, ROWS)
    columns = {"text": np.array([text.encode() for text in texts], object)}
    places = list(range(ROWS))[::-1]
    sample = Sample(columns, {"label": [b"yes"] * ROWS}, {"text": "text"}, table, ROWS, places)
    first = {"label": [float(place >= 100) for place in range(ROWS)]}
    return KeptSet("day-1.csv", 1, "", first, [], Path("1"), sample)


def answers(wrong, sure=0.9):
    """A head that is wrong in some of the rows."""
    labels = np.array([b"no" if row in wrong else b"yes" for row in range(ROWS)], object)
    scores = np.array([[sure, 1 - sure] if label == b"no" else [1 - sure, sure] for label in labels])
    return {"label": Answers(HeadOptions(), CLASSES, labels, scores)}


def judge(kept, ours, live=(), trained=NONE, **options):
    return forgetting_gate(
        Asked(kept, answers(ours), answers(live), trained, 7), "label", 0.95, ForgettingGate(**options)
    )


@pytest.mark.parametrize(
    ("wrong", "passed", "blocks"),
    # The mean of 200 zeros and k ones has a standard error of about sqrt(k) / 200: 9 ± 5.7 may be 4, 12 ± 6.6 is not.
    [(4, True, False), (5, False, False), (9, False, False), (12, False, True)],
)
def test_a_fall_beyond_the_limit_blocks_beyond_doubt(kept, wrong, passed, blocks):
    gate = judge(kept, range(wrong))
    assert (gate.name, gate.passed, gate.blocks) == ("forgetting/day-1.csv", passed, blocks)
    assert gate.value == pytest.approx(-wrong / ROWS)
    assert gate.limit == -0.02
    assert (
        f"200 of the 200 rows kept of day-1.csv accuracy is {1 - wrong / ROWS:.4f} and was 1.0000 with version 7"
        in (gate.why)
    )
    assert gate.why.endswith("so it may be chance.") == (not passed and not blocks)
    assert gate.rows[0] == "now no (90%): text='row 0'"


def test_what_the_live_version_did_not_know_is_not_forgotten(kept):
    gate = judge(kept, range(50), live=range(60))
    assert gate.passed
    assert gate.value == 0.05
    assert not judge(kept, range(50), live=range(50, 90)).passed


def test_rows_that_the_candidate_was_trained_on_do_not_count(kept):
    trained = np.arange(ROWS) < 150  # it knows these by heart, and forgot 20 of the others
    gate = judge(kept, range(150, 170), trained=trained)
    assert gate.blocks
    assert gate.value == -20 / 50
    assert "This run trains on 150 others, which are left out." in gate.why
    few = judge(kept, range(150, 170), trained=np.arange(ROWS) < 171)
    assert few.passed
    assert few.why == (
        "Of the 200 rows kept of day-1.csv this run trains on 171; 29 are left to judge by, and 30 are wanted."
    )


def test_what_the_live_version_knows_by_heart_counts_as_it_was_when_new(kept):
    # The file stands backwards: the first 100 rows of the sample are the places 199 to 100, right when they were new.
    seen = replace(kept, trained=list(range(ROWS)))
    gate = judge(seen, range(100, 200))
    assert gate.passed
    assert gate.value == 0
    assert "Version 7 was trained on 200: there, the answer when they were new counts." in gate.why
    assert judge(kept, range(100, 200)).blocks
    assert judge(seen, range(100)).value == 0  # forgot 100 and learnt 100
    assert judge(seen, range(150)).blocks


def test_numbers_are_judged_by_their_error(kept):
    head = HeadOptions(type="regression")
    truth = [float(row % 2) for row in range(ROWS)]  # a deviation of 1/2
    rows = replace(kept, sample=replace(kept.sample, labels={"label": truth}))
    scores = np.array(truth).reshape(-1, 1)
    live = {"label": Answers(head, (), np.empty(ROWS, object), scores)}
    for error, passed in ((0.025, True), (0.026, False)):
        ours = {"label": Answers(head, (), np.empty(ROWS, object), scores + error)}
        gate = forgetting_gate(Asked(rows, ours, live, NONE, 7), "label", 0.95, ForgettingGate())
        assert (gate.passed, gate.blocks) == (passed, not passed)
        assert gate.value == pytest.approx(-error / 0.5)


def test_a_feature_that_old_rows_lack_warns_only(kept):
    table = Table({**kept.sample.table.columns, "age": pa.nulls(ROWS, pa.float64())}, ROWS)
    columns = {**kept.sample.columns, "age": np.full(ROWS, np.nan, np.float32)}
    gate = judge(replace(kept, sample=replace(kept.sample, table=table, columns=columns)), range(100))
    assert not gate.passed
    assert not gate.blocks
    assert gate.why.endswith("; but the kept rows have no `age`, which may be why.")


def test_a_head_that_is_new_has_nothing_to_forget(kept):
    gate = forgetting_gate(Asked(kept, answers(()), {}, None, 7), "label", 0.95, ForgettingGate())
    assert gate.passed


def test_older_sets_lie_farther_apart_and_the_first_stays(kept):
    sets = []
    for order in range(1, 101):
        sets = thinned([*sets, replace(kept, order=order)], 6)
        assert len(sets) == min(order, 6)
    orders = [each.order for each in sets]
    ages = np.diff(orders)
    assert (orders[0], orders[-1]) == (1, 100)
    assert (ages[:-1] >= ages[1:]).all()
    assert ages[0] > 20
    assert [each.order for each in thinned(sets, 2)] == [1, 100]
    assert [each.order for each in thinned(sets, 1)] == [100]


def test_a_set_is_called_by_its_file_and_else_by_its_run():
    assert Keep("/data/reviews-20260103.csv", "night-3").name(["reviews-20260102.csv"]) == "reviews-20260103.csv"
    assert Keep("/data/20260103/rows.csv", "night-3").name([]) == "20260103/rows.csv"
    assert Keep("/data/reviews.csv", "night-3").name(["data/reviews.csv"]) == "data/reviews.csv of night-3"
