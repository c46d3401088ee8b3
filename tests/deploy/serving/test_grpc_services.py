"""Every row of the specified gRPC surface: code and text as the original's."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
)

from tests.deploy.serving.grpc_requests import (
    CLASSIFY,
    good,
    predict_request,
    refused,
)


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request("", **good()), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            predict_request("signature_name: 's'", **good()),
            "INVALID_ARGUMENT",
            "ModelSpec has no name specified.",
        ),
        (predict_request("name: 'm'"), "NOT_FOUND", "Servable not found for request: Latest(m)"),
        (
            predict_request("name: 'm' version { value: 7 }"),
            "NOT_FOUND",
            "Servable not found for request: Specific(m, 7)",
        ),
        (
            predict_request("name: 'reviews' version { value: 7 }"),
            "NOT_FOUND",
            "Servable not found for request: Specific(reviews, 7)",
        ),
        (
            predict_request("name: 'reviews' version_label: 'X'"),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: X",
        ),
        (
            predict_request("name: 'reviews' signature_name: 'X'"),
            "FAILED_PRECONDITION",
            'Serving signature key "X" not found.',
        ),
        (
            predict_request(**good(review=None)),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=2 len({age}) != len({age,review}). "
            "Sent extra: {}. Missing but required: {review}.",
        ),
        (
            predict_request(**good(more=[1.0])),
            "INVALID_ARGUMENT",
            "input size does not match signature: 3!=2 len({age,more,review}) != len({age,review}). "
            "Sent extra: {more}. Missing but required: {}.",
        ),
        (
            predict_request(**good(review=None, text=["a"])),
            "INVALID_ARGUMENT",
            "Signature input alias: review(feed name: serving_default_review:0) not found in request and no default "
            "value provided. Inputs expected to be in the request {age,text}, or default input alias set: ",
        ),
        (
            predict_request(output_filter=["X"], **good()),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: X Outputs expected to be in the set "
            "{classes,label,probabilities}.",
        ),
        (
            predict_request(output_filter=["label", "label"], **good()),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: label",
        ),
        (predict_request(**good(age=[True])), "INVALID_ARGUMENT", "Expects arg[0] to be float but bool is provided"),
        (
            predict_request(**good(review=[1])),
            "INVALID_ARGUMENT",
            "Expects arg[1] to be string but int32 is provided",
        ),
        (
            predict_request("name: 'numbers' signature_name: '__saved_model_init_op'"),
            "INTERNAL",
            "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
            "tensorflow/serving/classify, tensorflow/serving/regress}. Was: ",
        ),
    ],
)
def test_predict_refuses_as_the_original_does(served, request_, code, text):
    assert refused(served.predictions.Predict, request_) == (code, text)


def test_shapes_that_do_not_fit_give_the_graphs_own_text(served):
    request = predict_request("name: 'numbers' signature_name: 'product'", a=[[1.0, 2.0]], b=[[1.0]])
    code, text = refused(served.predictions.Predict, request)
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("Matrix size-incompatible: In[0]: [1,2], In[1]: [1,1]")


def test_a_broken_tensor_is_named(served):
    request = predict_request(**good())
    request.inputs["age"].tensor_content = b"\0"
    assert refused(served.predictions.Predict, request) == ("INVALID_ARGUMENT", "tensor parsing error: age")


def test_long_messages_are_cut_at_1024_bytes(served):
    code, text = refused(
        served.predictions.Predict, predict_request("name: 'reviews' signature_name: '%s'" % ("x" * 3000))
    )
    assert code == "FAILED_PRECONDITION"
    assert text == 'Serving signature key "' + "x" * (1024 - 23) + "...TRUNCATED"


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ("name: 'reviews'", 2),
        ("name: 'reviews' version { value: 1 }", 1),
        ("name: 'reviews' version_label: 'stable'", 1),
        ("name: 'reviews' version_label: 'canary'", 2),
    ],
)
def test_the_response_says_what_answered(served, spec, version):
    response = served.predictions.Predict(predict_request(spec, **good()))
    assert response.model_spec.name == "reviews"
    assert response.model_spec.version.value == version
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["label"].string_val) == [b"yes"]
    assert list(response.outputs["probabilities"].float_val)[1] == pytest.approx(0.784 if version == 1 else 0.984)
    assert not response.outputs["probabilities"].tensor_content


def test_only_filtered_outputs_come(served):
    response = served.predictions.Predict(predict_request(output_filter=["label"], **good()))
    assert set(response.outputs) == {"label"}


def metadata_request(spec, *fields):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if spec is not None:
        text_format.Parse(spec, request.model_spec)
        request.model_spec.SetInParent()
    return request


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (metadata_request(None, "signature_def"), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            metadata_request("name: 'reviews'"),
            "INVALID_ARGUMENT",
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("name: 'reviews'", "X"), "INVALID_ARGUMENT", "Metadata field X is not supported"),
        (metadata_request("", "signature_def"), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (metadata_request("name: 'm'", "signature_def"), "NOT_FOUND", "Servable not found for request: Latest(m)"),
    ],
)
def test_metadata_refuses_as_the_original_does(served, request_, code, text):
    assert refused(served.predictions.GetModelMetadata, request_) == (code, text)


def test_metadata_holds_every_signature(served):
    response = served.predictions.GetModelMetadata(metadata_request("name: 'reviews'", "signature_def"))
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "classify", "examples", "explain"} <= set(signatures.signature_def)
    assert signatures.signature_def["classify"].method_name == CLASSIFY
    assert (response.model_spec.name, response.model_spec.version.value) == ("reviews", 2)
