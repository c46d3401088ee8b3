import keras
import numpy as np
import pytest

from models.input_fn import batches, read_split, sorted_rows
from models.labels import Target
from models.network import build_network
from models.training.calibration import calibrate, fit_temperature


def test_the_temperature_makes_probabilities_those_of_the_labels():
    """Three of four rows are of class 0, so it must be as probable: log(3) apart, not twice that, or half."""
    for spread, expected in ((2 * np.log(3), 2), (np.log(3), 1), (np.log(3) / 2, 0.5)):
        logits = np.tile(np.float32([spread, 0]), (4, 1))
        assert fit_temperature(logits, np.array([0, 0, 1, 0])) == pytest.approx(expected, rel=1e-3)


def test_without_a_fault_the_temperature_stays_above_zero():
    assert fit_temperature(np.float32([[1, 0], [0, 1]]), np.array([0, 1])) == pytest.approx(0.05, rel=1e-2)


@pytest.mark.slow
def test_the_layer_of_the_logits_takes_the_temperature_in(spec, splits, transform_output):
    split = read_split([splits["eval"]], transform_output, spec)
    keras.utils.set_random_seed(0)
    network = build_network(spec, {"word_pieces": 200, "department_values": 2}, {"label": Target(("no", "yes"))})
    layer = network.get_layer("logits")
    layer.set_weights([weight * 3 for weight in layer.get_weights()])
    rows = sorted_rows(split.lengths)
    features = batches(split, rows, 64).map(lambda features, labels: features)
    before = network.predict(features, verbose=0)
    labels = np.argmax(before["logits"], axis=1)
    labels[::4] = 1 - labels[::4]  # it is far too sure: one of four answers is wrong
    split.labels["label"][rows] = labels
    (temperature,) = calibrate(network, split, spec).values()
    after = network.predict(features, verbose=0)
    assert temperature > 1
    np.testing.assert_allclose(after["logits"] * temperature, before["logits"], rtol=1e-4, atol=1e-5)
    assert fit_temperature(after["logits"], labels) == pytest.approx(1, rel=1e-3)
    np.testing.assert_array_equal(after["attention"], before["attention"])
