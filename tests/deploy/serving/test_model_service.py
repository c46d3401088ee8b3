"""Every row of the specified gRPC surface: code and text as the original's."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
)

from tests.deploy.serving.grpc_requests import (
    good,
    predict_request,
    refused,
)


def status_request(spec):
    request = get_model_status_pb2.GetModelStatusRequest()
    text_format.Parse(spec, request.model_spec)
    return request


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("name: 'reviews' version { value: 7 }", "Could not find version 7 of model reviews"),
        ("name: 'm'", "Could not find any versions of model m"),
    ],
)
def test_status_refuses_as_the_original_does(served, spec, text):
    assert refused(served.models.GetModelStatus, status_request(spec)) == ("NOT_FOUND", text)


@pytest.mark.parametrize(
    ("spec", "versions"),
    [
        ("name: 'reviews'", [2, 1]),
        ("name: 'reviews' version { value: 1 }", [1]),
        ("name: 'reviews' version_label: 'stable'", [2, 1]),
    ],
)
def test_status_lists_versions_and_looks_at_no_label(served, spec, versions):
    response = served.models.GetModelStatus(status_request(spec))
    assert [entry.version for entry in response.model_version_status] == versions
    assert {(entry.state, entry.status.error_code) for entry in response.model_version_status} == {(30, 0)}


def reload_request(text):
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(text, request.config)
    return request


ENTRY = "config { name: '%s' base_path: '%s' model_platform: '%s' }"


@pytest.mark.parametrize(
    ("config", "code", "text"),
    [
        (
            "",
            "INVALID_ARGUMENT",
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported",
        ),
        (
            ENTRY % ("m", "/m", "tensorflow") * 2,
            "INVALID_ARGUMENT",
            "Illegal to list model m multiple times in config list",
        ),
        (
            ENTRY % ("m", "m", "tensorflow"),
            "INVALID_ARGUMENT",
            "Expected model m to have an absolute path or URI; got base_path()=m",
        ),
        (
            ENTRY % ("reviews", "/m", "other"),
            "INVALID_ARGUMENT",
            "Illegal to change a model's platform. For model reviews platform was tensorflow and new platform "
            "requested is other",
        ),
        (ENTRY % ("m", "/m", "other"), "INVALID_ARGUMENT", "Model m requests unsupported platform other"),
        (
            "config { name: 'm' base_path: '/m' }",
            "INVALID_ARGUMENT",
            "Illegal setting neither model_type(deprecated) nor model_platform.",
        ),
        (
            "config { name: 'reviews' base_path: '/m' model_platform: 'tensorflow' "
            "version_labels { key: 'new' value: 9 } version_labels { key: 'stable' value: 9 } }",
            "FAILED_PRECONDITION",
            "Request to assign label to version 9 of model reviews, which is not currently available for inference",
        ),
    ],
)
def test_reload_refuses_as_the_original_does_and_keeps_serving(served, config, code, text):
    request = reload_request(f"model_config_list {{ {config} }}" if config else "")
    assert refused(served.models.HandleReloadConfigRequest, request) == (code, text)
    assert served.predictions.Predict(predict_request(**good())).model_spec.version.value == 2
