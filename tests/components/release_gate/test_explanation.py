"""Deletion, insertion and occlusion of a predictor whose answers are sums that anyone can add up."""

import json
import re
from importlib.util import find_spec

import numpy as np
import pytest

from components.release_gate.explanation import attention_gates
from components.release_gate.options import AttentionGate
from tests.components.release_gate.by_hand import Predictor, model_of, sample_of

WEIGHTS = {"good": 0.4, "fine": 0.2, "soft": 0.1, "bad": -0.1}
"""What a word adds to the probability of `yes`, which is 0.2 without any."""


def adder(attention, weights=WEIGHTS, **options):
    def said(text):
        return 0.2 + sum(weights.get(word, 0.0) for word in set(re.findall(r"\w+", text)))

    return Predictor(said, attention, **options)


def judged(tmp_path, predictor, texts, **options):
    """Gates by name, and what was written of the curves."""
    model, sample = model_of(predictor, tmp_path), sample_of(texts)
    explained = model.outputs(sample.columns, "explain")
    gates = attention_gates(model, sample, explained, tmp_path, AttentionGate(**options))
    written = tmp_path / "deletion.json"
    return {gate.name.removeprefix("attention/"): gate for gate in gates}, (
        json.loads(written.read_text()) if written.exists() else None
    )


def curves(written):
    return {
        (each["order"], each["rows"]): (pytest.approx(each["deleted"]), pytest.approx(each["inserted"]))
        for each in written["curves"]
    }


SEEN = {"fine": 0.5, "good": 0.3, "soft": 0.2, "dress": 0.6, "bad": 0.2}
TEXTS = ["bad, dress; bad", "good fine soft", "good"]
"""The first is surely `no` (0.9): `dress` has most attention, `bad` decides. The second is `yes` (0.9). The third has
one word only, so none can be deleted."""
OWN = [(0 + 0.2) / 2, (0.1 + 0.6) / 2], [(0.1 + 0.5) / 2, (0 + 0.1) / 2]
OCCLUDED = [(0.1 + 0.4) / 2, (0.1 + 0.6) / 2], [(0 + 0.3) / 2, (0 + 0.1) / 2]


def test_the_curves_are_those_by_hand(tmp_path):
    _, written = judged(tmp_path, adder(SEEN), TEXTS, words=(1, 2), occlusion_rows=2)
    assert (written["head"], written["is_number"], written["words"]) == ("label", False, [1, 2])
    assert [(each["order"], each["rows"]) for each in written["curves"]] == [
        ("attention", 2), ("random", 2), ("attention", 2), ("occlusion", 2),
    ]  # fmt: skip
    assert curves(written)["attention", 2] == OWN
    assert curves(written)["occlusion", 2] == OCCLUDED


def test_of_fewer_rows_the_attention_stands_beside(tmp_path):
    _, written = judged(tmp_path, adder(SEEN), TEXTS, words=(1, 2), occlusion_rows=1)
    assert curves(written)["attention", 2] == OWN
    assert curves(written)["attention", 1] == ([0, 0.1], [0.1, 0])
    assert curves(written)["occlusion", 1] == ([0.1, 0.1], [0, 0])


def test_numbers_count_in_deviations_of_the_answers(tmp_path):
    _, written = judged(tmp_path, adder(SEEN, number=True), TEXTS, words=(1, 2), occlusion_rows=1)
    deviation = np.std([0.1, 0.9, 0.6])
    assert written["is_number"]
    assert curves(written)["attention", 2] == tuple((np.array(each) / deviation).tolist() for each in OWN)
    assert curves(written)["occlusion", 1] == ([0.1 / deviation] * 2, [0, 0])


def test_random_words_are_as_good_where_all_weigh_the_same(tmp_path):
    predictor = adder(SEEN, weights=dict.fromkeys(("good", "fine", "soft"), 0.2))
    gates, written = judged(tmp_path, predictor, ["good fine soft"] * 3, words=(1, 2), occlusion_rows=0)
    assert curves(written) == {(order, 3): ([0.2, 0.4], [0.4, 0.2]) for order in ("attention", "random")}
    assert gates["faithful"].value == pytest.approx(0)
    assert gates["insertion"].value == pytest.approx(0)


def test_the_gates_are_the_distance_between_the_curves_and_hold_to_their_limits(tmp_path):
    gates, written = judged(tmp_path, adder({**SEEN, "good": 0.6}), TEXTS[1:2], words=(1, 2))
    found = {each["order"]: each for each in written["curves"]}
    faithful, insertion = (
        float(np.mean(found["attention"][part]) - np.mean(found["random"][part])) for part in ("deleted", "inserted")
    )
    assert faithful > 0, "no word moves it farther than `good`"
    assert gates["faithful"].value == pytest.approx(faithful)
    assert gates["insertion"].value == pytest.approx(-insertion)
    for name, value in (("faithful", faithful), ("insertion", 0.05 - insertion)):
        for off, passed in ((-1e-6, True), (1e-6, False)):
            gates, _ = judged(tmp_path, adder({**SEEN, "good": 0.6}), TEXTS[1:2], words=(1, 2), min=value + off)
            assert gates[name].passed == passed, (name, off)


def test_words_that_do_not_matter_are_shown_with_the_row(tmp_path):
    texts = ["dress bad", "dress good"]
    gates, _ = judged(tmp_path, adder({**SEEN, "dress": 1.0}), texts * 10, words=(1,), occlusion_rows=0)
    gate = gates["faithful"]
    assert not gate.passed
    assert gate.severity == "warn"
    assert gate.rows[0].startswith("dress, good: -0.400: text='dress good'")


@pytest.mark.parametrize(("off", "passed"), [(0.0009, True), (0.0011, False)])
def test_attention_sums_to_one_and_nothing_is_on_padding(tmp_path, off, passed):
    gates, _ = judged(tmp_path, adder(SEEN, extra=(off, 0)), TEXTS)
    assert (gates["sum"].passed, gates["sum"].blocks, gates["padding"].passed) == (passed, not passed, True)
    gates, _ = judged(tmp_path, adder(SEEN, extra=(-off, off)), TEXTS)
    assert (gates["padding"].passed, gates["padding"].blocks, gates["sum"].passed) == (passed, not passed, True)


def test_rows_of_one_word_cannot_tell(tmp_path):
    gates, written = judged(tmp_path, adder(SEEN), ["good", "bad"])
    assert written is None
    assert "insertion" not in gates
    assert not gates["faithful"].passed
    assert gates["faithful"].why.startswith("No row has words enough")


@pytest.mark.skipif(find_spec("shap") is None, reason="no shap: pip install -e .[shap]")
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of matplotlib, by shap
def test_shap_ranks_words_by_what_they_speak_for(tmp_path):
    texts = ["bad dress good soft", *TEXTS[1:]]
    # `yes` has 0.6: `good` and `soft` speak for it, `bad` against it, `dress` not at all.
    _, written = judged(tmp_path, adder(SEEN), texts, words=(1, 2, 3), occlusion_rows=0, shap_rows=1)
    assert curves(written)["shap", 1] == ([0.4, 0.5, 0.5], [0, 0.1, 0.1])
    assert curves(written)["attention", 1] == ([0, 0.4, 0.3], [0.4, 0, 0.1])
