"""The metrics of the gates, against scikit-learn and by hand."""

import numpy as np
import pytest
import sklearn.metrics
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.classification_report import ClassificationReport

CLASSES = ["cat", "dog", "eel"]


def evaluate(labels, probabilities, parts=1, classes=CLASSES):
    """Runs the metric's own combiner, the rows spread over `parts` accumulators."""
    (computation,) = ClassificationReport().computations(model_names=[""])
    combiner = computation.combiner
    accumulators = [combiner.create_accumulator() for _ in range(parts)]
    for row, (label, probability) in enumerate(zip(labels, probabilities, strict=True)):
        inputs = metric_types.StandardMetricInputs(
            {
                "labels": np.array([label.encode()]),
                "predictions": {
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
    for name, value in once.items():
        np.testing.assert_allclose(value, thrice[name], rtol=1e-9)


def test_two_models_are_measured_apart():
    computations = ClassificationReport().computations(model_names=["candidate", "baseline"])
    answers = {"candidate": [0.2, 0.8], "baseline": [0.8, 0.2]}
    classes = np.array([b"cat", b"dog"], object)
    inputs = metric_types.StandardMetricInputs(
        {
            "labels": {name: np.array([b"dog"], object) for name in answers},
            "predictions": {
                name: {"probabilities": np.array(answer, np.float32), "classes": classes}
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


def test_calibration_error_by_hand():
    # Two rows say 0.9 (bin 13 of 15) and one of them is right: |0.9 - 0.5| over all rows.
    got = evaluate(["cat", "dog"], [[0.9, 0.1], [0.9, 0.1]], classes=["cat", "dog"])
    assert got["expected_calibration_error"] == pytest.approx(0.4, abs=1e-6)
    assert got["accuracy"] == 0.5
    assert got["auc"] == 0.5


def test_a_label_that_the_model_does_not_know_is_named():
    with pytest.raises(ValueError, match="label that the model does not know. Received: b'fox'"):
        evaluate(["fox"], [[1.0, 0.0, 0.0]])
