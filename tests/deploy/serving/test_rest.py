"""The REST surface against a running server."""

import base64
import json

import pytest
import requests

from tests.deploy.serving.saved_models import ECHO_TYPES


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/v1/foo", "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", "Malformed request: POST /v1/foo"),
        ("GET", "/v1/models", "Missing model name in request."),
        ("GET", "/v1/models/debug/model_name", "Malformed request: GET /v1/models/debug/model_name"),
        ("POST", "/v1/models", "Malformed request: POST /v1/models"),
        ("GET", "/v1/models/foo:predict", "Malformed request: GET /v1/models/foo:predict"),
        ("POST", "/v1/models/foo/version/50:predict", "Malformed request: POST /v1/models/foo/version/50:predict"),
        ("POST", "/v1/models/foo/versions/X:regress", "Malformed request: POST /v1/models/foo/versions/X:regress"),
        ("POST", f"/v1/models/foo/versions/{2**64}:regress", f"Failed to convert version: {2**64} to numeric."),
        ("POST", "/v1/models/foo/metadata", "Malformed request: POST /v1/models/foo/metadata"),
        ("PUT", "/v1/models/reviews", "Malformed request: PUT /v1/models/reviews"),
        (
            "POST",
            "/v1/models/foo/versions/50/labels/x:regress",
            "Malformed request: POST /v1/models/foo/versions/50/labels/x:regress",
        ),
    ],
)
def test_what_is_no_call_is_malformed(served, method, path, text):
    assert served.rest(method, path, b"" if method == "POST" else None) == (400, {"error": text})


NUMBERS = "/v1/models/numbers:predict"
REVIEWS = "/v1/models/reviews:predict"
PRODUCT = {"signature_name": "product"}


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/v1/models/foo:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(foo)"),
        (
            "/v1/models/foo/versions/5:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(foo, 5)",
        ),
        (
            "/v1/models/numbers/labels/X:predict",
            {"instances": [1]},
            400,
            "Unrecognized servable version label: X",
        ),
        (NUMBERS, b"", 400, "JSON Parse error: The document is empty"),
        (NUMBERS, b"instances = [1, 2]", 400, "JSON Parse error: Invalid value. at offset: 0"),
        (NUMBERS, b'{"instances": "\xff"}', 400, "JSON Parse error: Invalid encoding in string. at offset: 15"),
        (NUMBERS, b"[" * 100_000, 400, "JSON Parse error: Nested too deeply."),
        (
            NUMBERS,
            b'{"inputs": ' + b"[" * 800 + b"]" * 800 + b"}",
            400,
            "A tensor has at most 64 dimensions. Received: 800",
        ),
        (NUMBERS, b"[1]", 400, "JSON Value: [\n    1\n] Is not object"),
        (NUMBERS, b'{"x": 1%s}' % (b"0" * 5000), 400, "JSON Parse error: Number too big to be stored in double."),
        (NUMBERS, {}, 400, "Missing 'inputs' or 'instances' key"),
        (
            NUMBERS,
            {"instances": ["x"]},
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String "
            "is not of expected type: float",
        ),
        (
            NUMBERS,
            {"inputs": [True]},
            400,
            "JSON Value: true Type: True is not of expected type: float",
        ),
        (NUMBERS, {"inputs": None}, 400, "JSON Value: null Type: Null is not of expected type: float"),
        (
            NUMBERS,
            {"inputs": [2**24]},
            400,
            "Cannot convert JSON value: 16777216 to float without loss of precision.",
        ),
        (
            NUMBERS,
            {"inputs": [[1.0], [1.0, 2.0]]},
            400,
            "Encountered list at unexpected size: 2 at level: 1 expected size: 1",
        ),
        (
            NUMBERS,
            {"inputs": [1.0, [2.0]]},
            400,
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            NUMBERS,
            {"inputs": [[1.0], 2.0]},
            400,
            "JSON Value: 2.0 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            NUMBERS,
            {"signature_name": "X", "instances": [1.0]},
            400,
            'Serving signature name: "X" not found in signature def',
        ),
        (
            NUMBERS,
            {"signature_name": 1},
            400,
            'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        (
            NUMBERS,
            PRODUCT | {"instances": [1.0]},
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            NUMBERS,
            PRODUCT | {"inputs": [1.0]},
            400,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (NUMBERS, PRODUCT | {"inputs": {"a": [[1.0]]}}, 400, "Missing named input: b in 'inputs' object."),
        (
            NUMBERS,
            PRODUCT | {"instances": [{"a": [1.0], "b": [1.0]}, [1.0]]},
            400,
            "Expecting object but got list at item 1 of input list",
        ),
        (
            NUMBERS,
            {"instances": [1.0, {"x": 1.0}]},
            400,
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            NUMBERS,
            {"instances": [{"z": 1.0}]},
            400,
            "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: z",
        ),
        (
            NUMBERS,
            PRODUCT | {"instances": [{"a": [1.0]}]},
            400,
            "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": [\n        1.0\n    ]\n} "
            "must only have keys: a,b",
        ),
        (
            NUMBERS,
            {"instances": [[1.0], [1.0, 2.0]]},
            400,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but "
            "got: 2",
        ),
        (
            NUMBERS,
            {"instances": [[[1.0], [2.0]], [[1.0, 2.0]]]},
            400,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [2,1] but "
            "got: [1,2]",
        ),
        (REVIEWS, {"inputs": {"review": [{"b64": "?"}], "age": [1.0]}}, 400, "Unable to base64 decode"),
        (
            REVIEWS,
            b'{"inputs": {"review": ["\\ud800"], "age": [1.0]}}',
            400,
            "JSON Parse error: The surrogate pair in string is invalid.",
        ),
        (
            "/v1/models/numbers:classify",
            {"signature_name": "classify"},
            400,
            'JSON Value: {\n    "signature_name": "classify"\n} When method is classify, key \'examples\' is expected '
            "and was not found",
        ),
        ("/v1/models/numbers:classify", {"examples": [1]}, 400, "Example must be JSON object but got JSON Number"),
        (
            "/v1/models/numbers:classify",
            {"examples": [{"x": None}]},
            400,
            "Feature: x has element with unexpected JSON type: Null",
        ),
        (
            "/v1/models/numbers:classify",
            {"examples": [{"x": [1.0, "a"]}]},
            400,
            "Unexpected element type in feature: x expecting type: float",
        ),
        (
            "/v1/models/numbers:classify",
            {"examples": [{"x": 2**63}]},
            400,
            "Feature: x has uint64 element. Only int64 is supported.",
        ),
        (
            "/v1/models/numbers:regress",
            {"signature_name": "X", "examples": [{"x": 1.0}]},
            400,
            "No signature was found with the name: X",
        ),
    ],
)
def test_bodies_are_refused_as_the_original_does(served, path, body, status, text):
    assert served.rest("POST", path, body) == (status, {"error": text})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances' keys to exist "),
        ({"instances": 1}, "Excepting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
    ],
)
def test_a_body_has_one_list_of_rows(served, body, words):
    status, answer = served.rest("POST", NUMBERS, body)
    assert status == 400
    assert answer["error"].endswith(words)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"instances": [1.0, 2.0]}, {"predictions": [2.5, 3.0]}),
        ({"instances": [[1, 2], [3, 4]]}, {"predictions": [[2.5, 3.0], [3.5, 4.0]]}),
        ({"instances": [{"x": 1.0}]}, {"predictions": [2.5]}),
        ({"inputs": [1.0, 2.0]}, {"outputs": [2.5, 3.0]}),
        ({"inputs": {"x": 1.0}}, {"outputs": 2.5}),
        (
            PRODUCT | {"inputs": {"a": [[1, 2]], "b": [[3], [4]]}},
            {"outputs": [[11.0]]},
        ),
    ],
)
def test_rows_give_predictions_and_columns_give_outputs(served, body, expected):
    assert served.rest("POST", NUMBERS, body) == (200, expected)


@pytest.mark.parametrize(
    ("path", "yes"),
    [
        ("/v1/models/reviews:predict", 0.95),
        ("/V1/models/reviews:PREDICT", 0.95),
        ("/v1/models/reviews/versions/1:predict", 0.75),
        ("/v1/models/reviews/labels/stable:predict", 0.75),
        ("/v1/models/%72eviews/labels/c%61nary:predict", 0.95),
    ],
)
def test_versions_and_labels_are_chosen_by_path(served, path, yes):
    status, body = served.rest("POST", path, {"instances": [{"review": "good", "age": 0.0}]})
    assert status == 200
    (row,) = body["predictions"]
    assert row["label"] == "yes"
    assert row["classes"] == ["no", "yes"]
    assert row["probabilities"][1] == pytest.approx(yes)


def test_every_type_goes_through_json_and_bytes_come_back_as_base64(served):
    values = {
        "text": ["żółć", {"b64": base64.b64encode(b"\xff").decode()}],
        "int32": [-(2**31), 2**31 - 1],
        "int64": [-(2**63), 2**63 - 1],
        "uint8": [0, 255],
        "flag": [True, False],
        "double": [0.1, 1e300],
    }
    response = requests.post(
        served.rest_url + NUMBERS, json={"signature_name": "echo_json", "inputs": values}, timeout=10
    )
    # As the original does, text that is no UTF-8 goes out as it is.
    assert '["żółć", "'.encode() + b'\xff"]' in response.content
    outputs = json.loads(response.content.decode("utf-8", "replace"))["outputs"]
    outputs.pop("text_out")
    assert outputs.pop("raw_bytes") == [{"b64": base64.b64encode(text).decode()} for text in ("żółć".encode(), b"\xff")]
    assert outputs == {f"{name}_out": value for name, value in values.items() if name != "text"}


def test_types_without_json_are_unimplemented(served):
    body = {"signature_name": "echo", "inputs": {name: [1.0] for name in ECHO_TYPES}}
    assert served.rest("POST", NUMBERS, body) == (
        501,
        {"error": "Conversion of JSON Value: 1.0 to type: bfloat16"},
    )


def test_columns_of_different_length_are_no_rows(served):
    status, answer = served.rest("POST", NUMBERS, {"instances": [[]]})
    assert (status, answer) == (200, {"predictions": [[]]})


def test_classify_and_regress_take_examples(served):
    body = {"signature_name": "classify", "examples": [{"review": "good", "age": [10.0]}, {"age": 20.0}]}
    status, answer = served.rest("POST", "/v1/models/reviews/versions/1:classify", body)
    assert (status, answer) == (200, {"results": [[["no", 0.24000001], ["yes", 0.76]], [["no", 0.73], ["yes", 0.27]]]})
    body = {"signature_name": "regress", "context": {"x": 4.0}, "examples": [{}, {"x": 1.0}]}
    assert served.rest("POST", "/v1/models/numbers:regress", body) == (200, {"results": [4.0, 2.5]})


def test_status_has_the_originals_names(served):
    ok = {"error_code": "OK", "error_message": ""}
    one = {"version": "1", "state": "AVAILABLE", "status": ok}
    assert served.rest("GET", "/v1/models/reviews/versions/1") == (200, {"model_version_status": [one]})
    status, body = served.rest("GET", "/v1/models/reviews/labels/stable")
    assert (status, len(body["model_version_status"])) == (200, 2)
    assert served.rest("GET", "/v1/models/m") == (404, {"error": "Could not find any versions of model m"})


def test_metadata_shows_signatures_under_their_proto_names(served):
    status, body = served.rest("GET", "/v1/models/reviews/labels/stable/metadata")
    assert status == 200
    assert body["model_spec"] == {"name": "reviews", "signature_name": "", "version": "1"}
    signature = body["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["age"]["dtype"] == "DT_FLOAT"


def test_paths_outside_the_api_are_not_found(served):
    response = requests.get(served.rest_url + "/statuspage", timeout=10)
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


def test_metrics_carry_the_originals_names(served):
    served.rest("POST", NUMBERS, {"instances": [1.0]})
    response = requests.get(served.rest_url + "/monitoring/prometheus/metrics", timeout=10)
    assert response.headers["Content-Type"].startswith("text/plain")
    lines = response.text.splitlines()
    assert "# TYPE :tensorflow:serving:request_count counter" in lines
    count = ':tensorflow:serving:request_count{model_name="numbers",status="OK"} '
    assert [line for line in lines if line.startswith(count)]
    latency = ':tensorflow:serving:request_latency_bucket{model_name="numbers",API="Predict",entrypoint="REST",le='
    buckets = [line for line in lines if line.startswith(latency)]
    assert len(buckets) == 34
    assert buckets[1].startswith(latency + '"18"')
    detail = ':attention:serving:request_count{model_name="numbers",version="1",signature="serving_default",status="OK"'
    assert detail in response.text
