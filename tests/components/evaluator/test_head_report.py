"""The metrics of the gates, against scikit-learn and by hand."""

import numpy as np
import pytest
import sklearn.metrics
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.head_report import HeadReport

CLASSES = ["cat", "dog", "eel"]


def evaluate(labels, probabilities, parts=1, classes=CLASSES):
    """Runs the metric's own combiner, the rows spread over `parts` accumulators."""
    (computation,) = HeadReport("label", "single_label").computations(model_names=[""])
    combiner = computation.combiner
    accumulators = [combiner.create_accumulator() for _ in range(parts)]
    for row, (label, probability) in enumerate(zip(labels, probabilities, strict=True)):
        inputs = metric_types.StandardMetricInputs(
            {
                "features": {"label": np.array([label.encode()])},
                "predictions": {
                    "label": np.array([classes[int(np.argmax(probability))].encode()], object),
                    "probabilities": np.array(probability, np.float32),
                    "classes": np.array([name.encode() for name in classes], object),
                },
            }
        )
        accumulators[row % parts] = combiner.add_input(accumulators[row % parts], inputs)
    result = combiner.extract_output(combiner.merge_accumulators(accumulators))
    return {key.name: value for key, value in result.items()}


@pytest.fixture
def random_rows():
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet(np.ones(3), size=400).astype(np.float32)
    labels = [CLASSES[generator.choice(3, p=row / row.sum())] for row in probabilities.astype(float)]
    return labels, probabilities


def test_agrees_with_scikit_learn(random_rows):
    labels, probabilities = random_rows
    got = evaluate(labels, probabilities)
    predicted = [CLASSES[index] for index in probabilities.argmax(axis=1)]

    assert got["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    assert got["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(labels, predicted, average="macro"))
    assert got["log_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, probabilities, labels=CLASSES), rel=1e-4)
    auc = sklearn.metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro", labels=CLASSES)
    assert got["auc"] == pytest.approx(auc, abs=1e-3)
    matrix = sklearn.metrics.confusion_matrix(labels, predicted, labels=CLASSES)
    np.testing.assert_array_equal(got["confusion_matrix"].reshape(3, 3), matrix)
    for name in CLASSES:
        own = dict(labels=[name], average="macro")
        assert got[f"precision/{name}"] == pytest.approx(sklearn.metrics.precision_score(labels, predicted, **own))
        assert got[f"recall/{name}"] == pytest.approx(sklearn.metrics.recall_score(labels, predicted, **own))


def test_workers_do_not_change_the_numbers(random_rows):
    once, thrice = evaluate(*random_rows), evaluate(*random_rows, parts=3)
    assert once.keys() == thrice.keys()
    assert once.pop("classes").tolist() == thrice.pop("classes").tolist() == CLASSES
    for name, value in once.items():
        np.testing.assert_allclose(value, thrice[name], rtol=1e-9)


def test_two_models_are_measured_apart():
    computations = HeadReport("label", "single_label").computations(model_names=["candidate", "baseline"])
    answers = {"candidate": [0.2, 0.8], "baseline": [0.8, 0.2]}
    classes = np.array([b"cat", b"dog"], object)
    inputs = metric_types.StandardMetricInputs(
        {
            "features": {"label": np.array([b"dog"], object)},
            "predictions": {
                name: {
                    "label": classes[np.argmax(answer)],
                    "probabilities": np.array(answer, np.float32),
                    "classes": classes,
                }
                for name, answer in answers.items()
            },
        }
    )
    accuracy = {}
    for computation in computations:
        combiner = computation.combiner
        result = combiner.extract_output(combiner.add_input(combiner.create_accumulator(), inputs))
        accuracy |= {key.model_name: value for key, value in result.items() if key.name == "accuracy"}
    assert accuracy == {"candidate": 1.0, "baseline": 0.0}


def test_nothing_that_depends_on_the_number_of_classes_is_subtracted_from_a_baseline():
    computations = HeadReport("label", "single_label").computations(model_names=["", "baseline"])
    answer = {
        "": {"label": b"new", "probabilities": [0.1, 0.2, 0.7], "classes": np.array([b"a", b"b", b"new"], object)},
        "baseline": {"label": b"a", "probabilities": [0.6, 0.4], "classes": np.array([b"a", b"b"], object)},
    }
    inputs = metric_types.StandardMetricInputs({"features": {"label": np.array([b"new"])}, "predictions": answer})
    values = {}
    for computation in computations:
        combiner = computation.combiner
        values |= combiner.extract_output(combiner.add_input(combiner.create_accumulator(), inputs))
    for key, value in values.items():
        baseline = values.get(key.make_baseline_key("baseline"))
        if key.model_name != "baseline" and baseline is not None:
            assert np.shape(value - baseline) == (), key.name
    recall = {key.model_name: value for key, value in values.items() if key.name == "recall/new"}
    assert recall == {"": 1.0, "baseline": 0.0}


def test_calibration_error_by_hand():
    # Two rows say 0.9 (bin 13 of 15) and one of them is right: |0.9 - 0.5| over all rows.
    got = evaluate(["cat", "dog"], [[0.9, 0.1], [0.9, 0.1]], classes=["cat", "dog"])
    assert got["expected_calibration_error"] == pytest.approx(0.4, abs=1e-6)
    assert got["accuracy"] == 0.5
    assert got["auc"] == 0.5


def test_a_class_that_the_model_does_not_know_is_a_row_that_it_got_wrong(random_rows):
    labels, probabilities = random_rows
    labels = [*labels, "fox", "fox", "gnu"]
    probabilities = np.concatenate([probabilities, np.eye(3, dtype=np.float32)])
    predicted = [CLASSES[index] for index in probabilities.argmax(axis=1)]
    known = len(labels) - 3
    for parts in (1, 3):
        got = evaluate(labels, probabilities, parts)
        assert got["example_count"] == len(labels)
        assert got["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
        assert got["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(labels, predicted, average="macro"))
        assert (got["recall/fox"], got["support/fox"], got["support/gnu"]) == (0, 2, 1)
        precision = sklearn.metrics.precision_score(labels, predicted, labels=["cat"], average="macro")
        assert got["precision/cat"] == pytest.approx(precision)
        of_known = sklearn.metrics.log_loss(labels[:known], probabilities[:known], labels=CLASSES)
        assert got["log_loss"] == pytest.approx((of_known * known + 3 * -np.log(1e-7)) / len(labels), rel=1e-4)
        truth = np.array([[label == name for name in CLASSES] for label in labels])
        auc = [sklearn.metrics.roc_auc_score(truth[:, each], probabilities[:, each]) for each in range(3)]
        assert got["auc"] == pytest.approx(np.mean(auc), abs=1e-3)


def measure(head_type, rows, parts=1, **options):
    """Metrics of a head called `h`: rows of (labels or None, answer)."""
    (computation,) = HeadReport("h", head_type, "h_", **options).computations(model_names=[""])
    combiner = computation.combiner
    accumulators = [combiner.create_accumulator() for _ in range(parts)]
    for row, (labels, answer) in enumerate(rows):
        features = {} if labels is None else {"h": np.array(labels)}
        predictions = {f"h_{part}": np.array(value) for part, value in answer.items()}
        inputs = metric_types.StandardMetricInputs({"features": features, "predictions": predictions})
        accumulators[row % parts] = combiner.add_input(accumulators[row % parts], inputs)
    result = combiner.extract_output(combiner.merge_accumulators(accumulators))
    assert all(key.name.startswith("h/") for key in result)
    return {key.name.removeprefix("h/"): value for key, value in result.items()}


def test_levels_agree_with_scikit_learn():
    generator = np.random.default_rng(5)
    levels = np.array([b"1", b"2", b"3", b"4"], object)
    truth = generator.integers(0, 4, 300)
    said = np.clip(truth + generator.integers(-1, 2, 300), 0, 3)
    rows = [
        ([levels[true]], {"label": levels[answer], "probabilities": np.eye(4)[answer], "classes": levels})
        for true, answer in zip(truth, said, strict=True)
    ]
    for parts in (1, 3):
        got = measure("ordinal", rows, parts)
        assert got["mean_absolute_error"] == pytest.approx(np.abs(truth - said).mean())
        kappa = sklearn.metrics.cohen_kappa_score(truth, said, weights="quadratic")
        assert got["quadratic_weighted_kappa"] == pytest.approx(kappa)
        assert got["accuracy"] == pytest.approx((truth == said).mean())


def test_the_served_level_counts_and_not_the_most_probable_one():
    answer = {"label": b"2", "probabilities": [0.4, 0.35, 0.25], "classes": np.array([b"1", b"2", b"3"], object)}
    assert measure("ordinal", [([b"2"], answer)])["accuracy"] == 1


def test_several_labels_agree_with_scikit_learn():
    generator = np.random.default_rng(6)
    classes = np.array([b"a", b"b", b"c"], object)
    truth = generator.integers(0, 2, (200, 3))
    probabilities = np.clip(truth * 0.3 + generator.random((200, 3)) * 0.7, 0, 1)
    rows = [
        (classes[true == 1] if true.any() else None, {"probabilities": row, "classes": classes})
        for true, row in zip(truth, probabilities, strict=True)
    ]
    said = (probabilities >= 0.6).astype(int)
    for parts in (1, 4):
        got = measure("multi_label", rows, parts, threshold=0.6)
        assert got["subset_accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, said))
        assert got["hamming_loss"] == pytest.approx(sklearn.metrics.hamming_loss(truth, said))
        for average in ("micro", "macro"):
            expected = sklearn.metrics.f1_score(truth, said, average=average)
            assert got[f"{average}_f1"] == pytest.approx(expected)
        assert got["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(truth, probabilities), abs=2e-3)
        binary = [sklearn.metrics.log_loss(truth[:, each], probabilities[:, each]) for each in range(3)]
        assert got["log_loss"] == pytest.approx(np.mean(binary), rel=1e-3)
        assert got["support/b"] == truth[:, 1].sum()


def test_one_of_several_labels_that_the_model_does_not_know_is_a_wrong_verdict():
    answer = {"probabilities": [0.9, 0.2], "classes": np.array([b"a", b"b"], object)}
    got = measure("multi_label", [([b"a", b"z"], answer), ([b"a"], answer)], parts=2)
    assert got["subset_accuracy"] == 0.5
    assert got["hamming_loss"] == pytest.approx(1 / 5)
    assert got["micro_f1"] == pytest.approx(4 / 5)
    assert got["macro_f1"] == pytest.approx((1 + 0) / 2)
    first = -np.log([0.9, 0.8, 1e-7]).mean()
    assert got["log_loss"] == pytest.approx((first - np.log([0.9, 0.8]).mean()) / 2, rel=1e-5)


def test_levels_are_measured_on_the_rows_whose_level_is_known():
    levels = np.array([b"1", b"2", b"3"], object)
    answers = [{"label": level, "probabilities": np.eye(3)[i], "classes": levels} for i, level in enumerate(levels)]
    got = measure("ordinal", [([b"1"], answers[0]), ([b"3"], answers[1]), ([b"9"], answers[2])])
    assert got["mean_absolute_error"] == 0.5
    assert got["accuracy"] == pytest.approx(1 / 3)


def test_numbers_agree_with_scikit_learn():
    generator = np.random.default_rng(7)
    truth = generator.normal(1e6, 10, 500).astype(np.float32)
    said = (truth + generator.normal(1, 5, 500)).astype(np.float32)
    for parts in (1, 3):
        rows = [([true], {"value": value}) for true, value in zip(truth, said, strict=True)]
        got = measure("regression", rows, parts)
        assert got["mean_absolute_error"] == pytest.approx(sklearn.metrics.mean_absolute_error(truth, said), rel=1e-5)
        squared = sklearn.metrics.root_mean_squared_error(truth.astype(float), said.astype(float))
        assert got["root_mean_squared_error"] == pytest.approx(squared)
        r_squared = sklearn.metrics.r2_score(truth.astype(float), said.astype(float))
        assert got["r_squared"] == pytest.approx(r_squared)
        assert got["mean_error"] == pytest.approx((said.astype(float) - truth).mean())
        assert got["example_count"] == 500


def test_a_row_without_its_number_is_an_error():
    with pytest.raises(ValueError, match="no number as its label"):
        measure("regression", [(None, {"value": 1.0})])
