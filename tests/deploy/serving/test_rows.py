"""What a client reads out of a response, for every type of head."""

import math

import numpy as np
import pytest

from deploy.serving.client_protos import PredictResponse
from deploy.serving.rows import read_predictions
from deploy.serving.tensors import fill_proto

CLASSES = np.array([[b"no", b"yes"]] * 2, object)


def response(**outputs):
    message = PredictResponse()
    message.model_spec.version.value = 7
    for name, array in outputs.items():
        fill_proto(np.asarray(array), message.outputs[name])
    return message


def strings(*values):
    return np.array(values, object)


def test_one_head_is_the_prediction_itself():
    scores = np.array([[0.25, 0.75], [0.9, 0.1]], np.float32)
    first, second = read_predictions(response(label=strings(b"yes", b"no"), probabilities=scores, classes=CLASSES))
    assert (first.label, first.probability, first.version, first.heads) == ("yes", 0.75, 7, {})
    assert second.probabilities == pytest.approx({"no": 0.9, "yes": 0.1})
    assert str(first) == "yes (75.0%)"


def test_several_labels_stand_together_and_a_number_by_itself():
    (first,) = read_predictions(
        response(
            topics_label=strings(b"fit|price"),
            topics_probabilities=np.array([[0.8, 0.7]], np.float32),
            topics_classes=np.array([[b"fit", b"price"]], object),
            price_value=np.array([12.5], np.float32),
        )
    )
    assert list(first.heads) == ["price", "topics"]
    assert (first.value, first.label) == (12.5, "")  # no head is called `label`: the first by the alphabet
    topics = first.heads["topics"]
    assert topics.label == "fit|price"
    assert math.isnan(topics.probability)
    assert topics.probabilities == pytest.approx({"fit": 0.8, "price": 0.7})
    assert str(first) == "price: 12.5, topics: fit|price"


def test_the_head_called_label_comes_first():
    scores = np.array([[0.25, 0.75]], np.float32)
    (first,) = read_predictions(
        response(
            label=strings(b"yes"), probabilities=scores, classes=CLASSES[:1], age_value=np.array([40.0], np.float32)
        )
    )
    assert first.label == "yes"
    assert first.value is None
    assert first.heads["age"].value == 40.0
    assert list(first.heads) == ["label", "age"]


def test_a_model_of_others_is_told():
    with pytest.raises(
        ValueError, match="The model answers `scores`, without `label`, .* was not made by this pipeline"
    ):
        read_predictions(response(scores=np.zeros([2, 2], np.float32)))
