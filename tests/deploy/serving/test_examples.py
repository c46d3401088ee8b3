"""Every row of the specified gRPC surface: code and text as the original's."""

import pytest
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    regression_pb2,
)

from deploy.serving.examples import classify, multi_inference, regress
from tests.deploy.serving.grpc_requests import (
    CLASSIFY,
    REGRESS,
    example,
    examples_request,
    multi,
    refused,
)


@pytest.mark.parametrize(
    ("spec", "examples", "code", "text"),
    [
        ("", (), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            "name: 'numbers' signature_name: 'X'",
            (example(),),
            "INVALID_ARGUMENT",
            "No signature was found with the name: X",
        ),
        (
            "name: 'numbers' signature_name: 'two_inputs'",
            (example(),),
            "INVALID_ARGUMENT",
            "Expected one input Tensor.",
        ),
        ("name: 'numbers' signature_name: 'classify'", (), "INVALID_ARGUMENT", "Input is empty."),
        (
            "name: 'numbers'",
            (example(),),
            "INVALID_ARGUMENT",
            f"Expected classification signature method_name to be {CLASSIFY}. Was: tensorflow/serving/predict",
        ),
        (
            "name: 'numbers' signature_name: 'classify_flat'",
            (example(), example()),
            "INVALID_ARGUMENT",
            "Expected Tensor shape: [batch_size num_classes] but got [2]",
        ),
    ],
)
def test_classify_refuses_as_the_original_does(served, spec, examples, code, text):
    request = examples_request(classification_pb2.ClassificationRequest, spec, *examples)
    if not spec:
        request.ClearField("model_spec")
    assert refused(served.predictions.Classify, request) == (code, text)


def test_classify_answers_labels_and_scores(served):
    spec = "name: 'reviews' signature_name: 'classify' version { value: 1 }"
    request = examples_request(
        classification_pb2.ClassificationRequest,
        spec,
        example(review="good"),
        example(review="bad", age=100.0),
        example(),
    )
    response = served.predictions.Classify(request)
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "classify"
    found = [[(c.label, c.score) for c in entry.classes] for entry in response.result.classifications]
    assert [[label for label, _ in row] for row in found] == [["no", "yes"]] * 3
    assert [row[1][1] for row in found] == pytest.approx([0.75, 0.35, 0.25])


def test_classify_puts_the_context_before_every_example(served):
    request = classification_pb2.ClassificationRequest()
    text_format.Parse("name: 'reviews' signature_name: 'classify' version { value: 1 }", request.model_spec)
    request.input.example_list_with_context.context.CopyFrom(example(age=100.0))
    request.input.example_list_with_context.examples.extend([example(review="good"), example(age=0.0)])
    response = served.predictions.Classify(request)
    assert [entry.classes[1].score for entry in response.result.classifications] == pytest.approx([0.85, 0.25])


@pytest.mark.parametrize(
    ("spec", "examples", "text"),
    [
        ("name: 'numbers' signature_name: 'X'", (example(),), "No signature was found with the name: X"),
        ("name: 'numbers' signature_name: 'regress'", (), "Input is empty."),
        (
            "name: 'numbers' signature_name: 'classify'",
            (example(),),
            f"Expected regression signature method_name to be {REGRESS}. Was: {CLASSIFY}",
        ),
    ],
)
def test_regress_refuses_as_the_original_does(served, spec, examples, text):
    request = examples_request(regression_pb2.RegressionRequest, spec, *examples)
    assert refused(served.predictions.Regress, request) == ("INVALID_ARGUMENT", text)


def test_regress_answers_one_value_per_example(served):
    spec = "name: 'numbers' signature_name: 'regress'"
    request = examples_request(regression_pb2.RegressionRequest, spec, example(x=1.0), example(x=3.0))
    response = served.predictions.Regress(request)
    assert [entry.value for entry in response.result.regressions] == pytest.approx([2.5, 3.5])
    assert response.model_spec.signature_name == "regress"


NUMBERS_CLASSIFY = ("name: 'numbers' signature_name: 'classify'", CLASSIFY)


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (multi(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            multi(NUMBERS_CLASSIFY, ("signature_name: 'regress'", REGRESS)),
            "INVALID_ARGUMENT",
            "Found ModelSpec with an empty model name.",
        ),
        (
            multi(NUMBERS_CLASSIFY, ("name: 'reviews'", CLASSIFY)),
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (
            multi(NUMBERS_CLASSIFY, NUMBERS_CLASSIFY),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: classify",
        ),
        (
            multi(("name: 'numbers' signature_name: 'X'", CLASSIFY)),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: X",
        ),
        (
            multi(("name: 'numbers' signature_name: 'classify'", "X")),
            "UNIMPLEMENTED",
            "Unsupported signature method_name: X",
        ),
        (multi(NUMBERS_CLASSIFY, examples=()), "INVALID_ARGUMENT", "Input is empty."),
    ],
)
def test_multi_inference_refuses_as_the_original_does(served, request_, code, text):
    assert refused(served.predictions.MultiInference, request_) == (code, text)


def test_heads_with_different_inputs_are_not_run_together(served):
    request = multi(NUMBERS_CLASSIFY, ("name: 'numbers' signature_name: 'regress'", REGRESS))
    assert refused(served.predictions.MultiInference, request) == (
        "INVALID_ARGUMENT",
        "Input tensor must be the same for all Signatures.",
    )


def test_each_output_is_known_by_its_head(exported):
    saved = saved_model_pb2.SavedModel.FromString((exported / "numbers" / "saved_model.pb").read_bytes())
    defined = saved.meta_graphs[0].signature_def
    defined["regress"].inputs["inputs"].CopyFrom(defined["classify"].inputs["inputs"])
    signatures = {"classify_stars": defined["classify"], "regress_price": defined["regress"]}
    tasks = [
        ("name: 'numbers' signature_name: 'classify_stars'", CLASSIFY),
        ("name: 'numbers' signature_name: 'regress_price'", REGRESS),
    ]
    assert sorted(multi_inference(1, signatures, multi(*tasks)).aliases) == ["price_outputs", "stars_scores"]
    for call, (spec, _), alias in zip((classify, regress), tasks, ("stars_scores", "price_outputs"), strict=True):
        request = examples_request(classification_pb2.ClassificationRequest, spec, example(x=1.0))
        assert call("numbers", 1, signatures, request).aliases == [alias]


def test_multi_inference_answers_each_task(served):
    response = served.predictions.MultiInference(multi(NUMBERS_CLASSIFY))
    (result,) = response.results
    assert result.model_spec.signature_name == "classify"
    assert [c.score for c in result.classification_result.classifications[0].classes] == pytest.approx([2.5, 2.5])
