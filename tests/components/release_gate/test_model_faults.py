"""Answers with one fault each: the right gate finds it, names the rows, and lets the same pass without the fault."""

import random

import numpy as np
import pyarrow as pa
import pytest

from components.data_gate.table import Table
from components.evaluator.class_counts import ClassCounts, LevelCounts
from components.evaluator.label_counts import LabelCounts
from components.evaluator.number_sums import NumberSums
from components.release_gate.attention_drift import attention_drift_gates
from components.release_gate.cost import cost_gates
from components.release_gate.flips import flip_gates
from components.release_gate.options import (
    AttentionGate,
    CalibrationGate,
    CostGates,
    FairnessGates,
    FlipGates,
    HeadOptions,
    SanityGates,
)
from components.release_gate.resampling import metrics_of, noise_of
from components.release_gate.robustness import CHANGES, changed, swap_synonyms
from components.release_gate.sample import Answers, Sample
from components.release_gate.sanity import (
    calibration_gates,
    constant_gates,
    fairness_gates,
    majority_gates,
    train_gap_gates,
)
from components.release_gate.word_questions import fold, only, without

ROWS = 200
CLASSES = (b"no", b"yes")
HEADS = {"label": HeadOptions()}


@pytest.fixture
def sample():
    """200 rows, 40 of them `no`, the first 50 in the north."""
    texts = [f"Row {row} says: this dress fits quite well!" for row in range(ROWS)]
    labels = [b"no" if row % 5 == 0 else b"yes" for row in range(ROWS)]
    shop = ["north" if row < 50 else "south" for row in range(ROWS)]
    table = Table({"text": pa.array(texts), "shop": pa.array(shop)}, ROWS)
    columns = {"text": np.array([text.encode() for text in texts], object)}
    return Sample(columns, {"label": labels}, {"text": "text", "shop": "category"}, table, 4 * ROWS, list(range(ROWS)))


def answers(labels, sure=0.9):
    """A head that gives these labels."""
    scores = np.array([[sure, 1 - sure] if label == b"no" else [1 - sure, sure] for label in labels])
    return Answers(HeadOptions(), CLASSES, np.array(labels, object), scores)


def flipped(labels, rows):
    return [(b"no" if label == b"yes" else b"yes") if row in rows else label for row, label in enumerate(labels)]


@pytest.mark.parametrize(("number", "passed"), [(40, True), (41, False)])
def test_flips_above_the_limit_fail_and_the_surest_are_shown(sample, number, passed):
    ours = answers(flipped(sample.labels["label"], range(ROWS - number, ROWS)))
    ours.scores[180] = [0.01, 0.99] if ours.labels[180] == b"yes" else [0.99, 0.01]
    live = answers(sample.labels["label"], sure=0.99)
    gate, _ = flip_gates(sample, {"label": ours}, {"label": live}, [["shop"]], 3, FlipGates())
    assert gate.passed == passed
    assert gate.value == number / ROWS
    assert f"{number} of 200 rows" in gate.why
    assert gate.rows[0] == "no (99%) → yes (99%): text='Row 180 says: this dress fits quite well!', shop='south'"
    assert len(gate.rows) == 3


def test_a_slice_that_flips_is_named_though_all_rows_together_pass(sample):
    live = answers(sample.labels["label"])
    ours = answers(flipped(sample.labels["label"], range(20)))
    whole, by_shop = flip_gates(sample, {"label": ours}, {"label": live}, [["shop"]], 3, FlipGates())
    assert whole.passed
    assert by_shop.name == "flips/shop"
    assert not by_shop.passed
    assert "shop=north is the worst: 20 of 50 rows (40.00%, surely 27.61%)" in by_shop.why
    noise = answers(flipped(sample.labels["label"], range(12)))  # 24 % of 50 rows may be chance
    assert flip_gates(sample, {"label": noise}, {"label": live}, [["shop"]], 3, FlipGates())[1].passed


def test_numbers_that_move(sample):
    head = HeadOptions(type="regression")
    rows = Sample(sample.columns, {"label": list(range(ROWS))}, sample.types, sample.table, ROWS, sample.places)
    live = Answers(head, (), np.empty(ROWS, object), np.arange(ROWS, dtype=float).reshape(-1, 1))
    ours = Answers(head, (), np.empty(ROWS, object), live.scores + 30.0)
    (gate,) = flip_gates(rows, {"label": ours}, {"label": live}, [], 3, FlipGates(max_change=0.52))
    assert gate.passed
    assert gate.value == pytest.approx(30 / np.arange(ROWS).std())
    assert not flip_gates(rows, {"label": ours}, {"label": live}, [], 3, FlipGates(max_change=0.51))[0].passed


def test_a_constant_model_is_found(sample):
    (gate,) = constant_gates(sample, {"label": answers([b"yes"] * ROWS)}, SanityGates())
    assert gate.blocks
    assert gate.why == "It gives all 200 rows the same label, 'yes'."
    (gate,) = constant_gates(sample, {"label": answers([b"yes"] * (ROWS - 1) + [b"no"])}, SanityGates())
    assert gate.passed


@pytest.mark.parametrize(("accuracy", "f1", "passed"), [(0.765, 0.3, True), (0.764, 0.3, False), (0.5, 0.45, True)])
def test_worse_than_always_the_same_class(accuracy, f1, passed):
    metrics = {"accuracy": accuracy, "macro_f1": f1, "support/no": 40, "support/yes": 160, "example_count": ROWS}
    (gate,) = majority_gates(metrics, HEADS, SanityGates())
    assert gate.passed == passed
    assert "always saying 'yes' has 0.8000 and 0.4444" in gate.why


def test_what_was_not_measured_does_not_pass(tmp_path):
    assert not majority_gates({}, HEADS, SanityGates())[0].passed
    assert not calibration_gates({}, HEADS, CalibrationGate())[0].passed
    gates = {gate.name: gate for gate in cost_gates(tmp_path, {}, [], CostGates(max_p50_ms=5, max_memory_bytes=1))}
    assert gates["cost/p50"].blocks
    assert gates["cost/memory"].blocks
    assert not gates["cost/model_memory"].blocks


def test_probabilities_that_are_off():
    ok, off = ({"expected_calibration_error": value} for value in (0.15, 0.1501))
    assert calibration_gates(ok, HEADS, CalibrationGate())[0].passed
    (gate,) = calibration_gates(off, HEADS, CalibrationGate())
    assert not gate.passed
    assert gate.severity == "warn"


def test_a_gap_between_slices_is_named_and_small_slices_are_left_out():
    rows = {"north": (0.55, 400), "south": (0.9, 400), "west": (0.1, 49)}
    by_slice = {f"shop={name}": {"accuracy": value, "example_count": n} for name, (value, n) in rows.items()}
    (gate,) = fairness_gates(by_slice, {}, HEADS, ["shop"], FairnessGates())
    assert not gate.passed
    assert gate.value == pytest.approx(0.35)
    assert gate.limit == pytest.approx(0.2 + 1.96 * (0.5 / 400) ** 0.5)
    assert "0.5500 on shop=north (400 rows) and 0.9000 on shop=south" in gate.why
    noise = gate.limit - 0.2
    for off, passed in ((1e-9, True), (-1e-9, False)):
        options = FairnessGates(max_gap=gate.value - noise + off)
        assert fairness_gates(by_slice, {}, HEADS, ["shop"], options)[0].passed == passed


def test_a_model_that_learnt_by_heart(tmp_path):
    path = tmp_path / "training.json"
    for train, passed in ((0.95, True), (0.96, False)):
        path.write_text(f'{{"curve": [{{"accuracy": {train}, "val_accuracy": 0.801}}], "best_epoch": 1}}')
        (gate,) = train_gap_gates(path, SanityGates())
        assert gate.passed == passed
        assert not gate.blocks
    assert not train_gap_gates(tmp_path / "none.json", SanityGates())[0].passed


def test_size_memory_and_speed_block_if_a_limit_is_set(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"0" * 1000)
    seconds = [0.002] * 97 + [0.5]
    replayed = {"load_seconds": 2.0, "peak_memory_bytes": 900_000_000, "memory_before_bytes": 650_000_000}
    just = {"max_load_seconds": 2, "max_p50_ms": 2, "max_memory_bytes": 900_000_000}
    passing = cost_gates(
        tmp_path, replayed, seconds, CostGates(max_bytes=1000, max_model_memory_bytes=250_000_000, **just)
    )
    assert all(gate.passed for gate in passing)
    over = {
        "batch_size": 8,
        "concurrency": 4,
        "max_load_seconds": 1.9,
        "max_p99_ms": 2,
        "max_memory_bytes": 899_999_999,
    }
    failing = {
        gate.name: gate
        for gate in cost_gates(
            tmp_path, replayed, seconds, CostGates(max_bytes=999, max_model_memory_bytes=249_999_999, **over)
        )
    }
    assert {name for name, gate in failing.items() if gate.blocks} == {
        "cost/size", "cost/load", "cost/memory", "cost/model_memory", "cost/p99",
    }  # fmt: skip
    assert failing["cost/p99"].why.startswith("99 % of 98 requests of 8 rows, 4 at a time, took up to 16.9 ms")
    assert failing["cost/model_memory"].value == 250_000_000
    assert failing["cost/model_memory"].why == "Of its memory the model takes 250 MB; allowed are 250."


def counted(kind, counts, labels, rows):
    for label, answer in zip(labels, rows, strict=True):
        counts.add(label, answer)
    return {name: value for name, value in counts.metrics().items() if np.isscalar(value) and kind}


@pytest.mark.parametrize("kind", ["single_label", "ordinal", "multi_label", "regression"])
def test_metrics_are_the_evaluators(kind):
    generator = np.random.default_rng(0)
    classes = (b"1", b"2", b"3")
    head = HeadOptions(type=kind)
    if kind == "regression":
        truth, scores = generator.normal(size=ROWS), generator.normal(size=(ROWS, 1))
        expected = counted(kind, NumberSums(), [[each] for each in truth], [{"value": each} for each in scores])
        found = metrics_of(truth.tolist(), Answers(head, (), np.empty(ROWS, object), scores), np.ones((1, ROWS)))
    else:
        scores = generator.dirichlet((1, 1, 1), ROWS)
        labels = np.array(classes, object)[scores.argmax(axis=1)]
        ours = Answers(head, classes, labels, scores)
        rows = [{"label": label, "probabilities": score} for label, score in zip(labels, scores, strict=True)]
        if kind == "multi_label":
            truth = [frozenset(name for name in classes if generator.random() < 0.4) for _ in range(ROWS)]
            expected = counted(kind, LabelCounts(classes, 0.5), [list(each) for each in truth], rows)
        else:
            truth = generator.choice(np.array(classes, object), ROWS).tolist()
            counts = LevelCounts(classes) if kind == "ordinal" else ClassCounts(classes)
            expected = counted(kind, counts, [[each] for each in truth], rows)
        found = metrics_of(truth, ours, np.ones((1, ROWS)))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=2e-3 if name == "auc" else 1e-6), name


def test_noise_is_that_of_the_whole_split(sample):
    truth = sample.labels["label"]
    ours, live = answers(flipped(truth, range(20))), answers(flipped(truth, range(15, 35)))
    noise = noise_of(truth, ours, live, split_rows=ROWS, confidence=0.95)["accuracy"]
    # 30 rows differ, 15 each way: a standard error of sqrt(30) / 200.
    assert noise.low == pytest.approx(1.96 * 30**0.5 / ROWS, rel=0.15)
    four = noise_of(truth, ours, live, split_rows=4 * ROWS, confidence=0.95)["accuracy"]
    assert four.high == pytest.approx(noise.high / 2)
    assert noise_of(truth, ours, ours, ROWS, 0.95)["accuracy"].high == 0


def test_changes_of_texts_are_small_and_the_same_each_time(sample):
    for change in CHANGES:
        once, again = changed(sample, change), changed(sample, change)
        assert (once["text"] == again["text"]).all()
        assert (once["text"] != sample.columns["text"]).any(), change
    assert changed(sample, "punctuation")["text"][0] == b"Row 0 says  this dress fits quite well "
    assert changed(sample, "truncation")["text"][0] == b"Row 0 says: this"


def test_synonyms_take_each_others_place():
    groups = [("great", "wonderful"), ("dress", "gown")]
    changed_text = swap_synonyms(groups, "Great dress! A greater one than my gown.", random.Random(0))
    assert changed_text == "Wonderful gown! A greater one than my dress."


def test_words_are_deleted_wherever_they_stand():
    words = [("text", fold("Café")), ("text", "fits"), ("title", "dress")]
    assert without("Café, the dress FITS. cafe".encode(), words, "text").split() == [b",", b"the", b"dress", b"."]
    assert only("Café, the dress FITS. cafe".encode(), words, "text").decode().split() == ["Café", "FITS", "cafe"]


def explained(words):
    """Attention on three words of every row."""
    tokens = np.array([[word.encode() for word in words]] * ROWS, object)
    weights = np.tile([0.5, 0.3, 0.2], (ROWS, 1))
    return {"tokens": tokens, "token_features": np.full((ROWS, 3), b"text", object), "attention": weights}


@pytest.mark.parametrize(
    ("words", "value", "passed"),
    [
        (("fits", "well", "row"), 1, True),
        (("well", "dress", "says"), 1 / 3, True),
        (("this", "dress", "says"), 0, False),
    ],
)
def test_attention_that_moved_to_other_words_is_told(sample, words, value, passed):
    live = explained(("row", "fits", "well"))
    (gate,) = attention_drift_gates(sample, explained(words), live, 3, AttentionGate())
    assert (gate.passed, gate.blocks) == (passed, False)
    assert gate.value == pytest.approx(value)
    if not passed:
        assert gate.rows[0].startswith("row, fits, well → this, dress, says: text='Row 0 says: ")
    for off, enough in ((-1e-9, True), (1e-9, False)):
        options = AttentionGate(min_overlap=min(max(value + off, 0), 1))
        (gate,) = attention_drift_gates(sample, explained(words), live, 3, options)
        assert gate.passed == (enough or value == 1)
    (gate,) = attention_drift_gates(sample, live, {}, 3, AttentionGate())
    assert gate.passed
