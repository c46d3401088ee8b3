import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest

from deploy.serving import client_errors
from deploy.serving.client import PredictionClient


@pytest.fixture(scope="module")
def client(served):
    with PredictionClient(served.target, "reviews", version=1) as opened:
        yield opened


def test_rows_are_answered_in_order_and_missing_values_are_missing(client):
    rows = [{"review": "good", "age": 100}, {"review": "good"}, "bad", {"age": "50"}, {"review": None, "age": None}, {}]
    predictions = client.predict(rows)
    assert [prediction.label for prediction in predictions] == ["yes", "yes", "no", "no", "no", "no"]
    assert [p.probabilities["yes"] for p in predictions] == pytest.approx([0.85, 0.75, 0.25, 0.3, 0.25, 0.25])
    assert predictions[0].probability == pytest.approx(0.85)
    assert {prediction.version for prediction in predictions} == {1}
    assert predictions[0].words == ()


def test_no_rows_are_no_predictions(client):
    assert client.predict([]) == []


def test_many_rows_go_in_several_calls(served):
    with PredictionClient(served.target, "reviews", batch_size=2) as client:
        assert [p.label for p in client.predict(["good", "bad"] * 3 + ["good"])] == ["yes", "no"] * 3 + ["yes"]


def test_explain_gives_words_and_their_weights(client):
    (prediction,) = client.explain([{"review": "a goodish dress", "age": 34.0}])
    assert [(word.text, word.feature) for word in prediction.words] == [
        ("[START]", "review"),
        ("a", "review"),
        ("goodish", "review"),
        ("dress", "review"),
        ("age=34", "age"),
    ]
    weights = [word.weight for word in prediction.words]
    assert weights == pytest.approx([0.1, 0.1, 0.5, 0.2, 0.1])
    assert sum(weights) == pytest.approx(1.0)


def test_rows_of_different_length_are_explained_without_padding(client):
    short, long = client.explain(["bad", "a very good dress"])
    assert [word.text for word in short.words] == ["[START]", "bad", "age=nan"]
    assert len(long.words) == 6


def test_inputs_and_versions_are_told(client, served):
    assert client.inputs() == {"age": "float", "review": "string"}
    assert client.versions() == {1: "AVAILABLE"}
    with PredictionClient(served.target, "reviews") as newest:
        assert newest.versions() == {1: "AVAILABLE", 2: "AVAILABLE"}


def test_a_label_chooses_the_version(served):
    for label, version in (("stable", 1), ("canary", 2)):
        with PredictionClient(served.target, "reviews", label=label) as client:
            assert client.predict(["good"])[0].version == version


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("good", "`rows` must be a list of rows"),
        ([{"text": "good"}], "Row 0 has `text`, but the model reads `age`, `review`"),
        (["good", {"age": "old"}], "`age` of row 1 must be a number. Received: 'old'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_before_they_are_sent(client, rows, match):
    with pytest.raises(ValueError, match=match):
        client.predict(rows)


def test_a_plain_string_needs_one_text(served):
    with (
        PredictionClient(served.target, "numbers") as client,
        pytest.raises(ValueError, match="Row 0 is a plain string"),
    ):
        client.predict(["good"])


def test_a_model_of_another_kind_is_said_to_be_one(served):
    with (
        PredictionClient(served.target, "numbers") as client,
        pytest.raises(ValueError, match="not made by this pipeline"),
    ):
        client.predict([{"x": 1.0}])
    with (
        PredictionClient(served.target, "numbers") as client,
        pytest.raises(client_errors.PreconditionError, match='Serving signature key "explain" not found'),
    ):
        client.explain([{"x": 1.0}])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"model_name": "m"},
            client_errors.NoSuchModelError,
            r"NOT_FOUND: Servable not found for .*: Latest\(m\)",
        ),
        ({"version": 9}, client_errors.NoSuchModelError, r"Specific\(reviews, 9\)"),
        ({"label": "X"}, client_errors.InvalidRequestError, "Unrecognized servable version label: X"),
    ],
)
def test_every_status_has_its_exception(served, options, error, match):
    with (
        PredictionClient(served.target, **({"model_name": "reviews"} | options)) as client,
        pytest.raises(error, match=match) as caught,
    ):
        client.predict(["good"])
    assert isinstance(caught.value, client_errors.PredictionError)


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_no_status_is_without_exception(status):
    class Failed(grpc.RpcError):
        def code(self):
            return status

        def details(self):
            return "why"

    error = client_errors.error_of(Failed())
    assert (error.status, error.message) == (status.name, "why")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"version": 1, "label": "stable"}, "exclude each other"),
        ({"timeout_seconds": 0}, "`timeout_seconds` must be positive"),
        ({"batch_size": 0}, "`batch_size` must be positive"),
        ({"retries": -1}, "`retries` must not be negative"),
    ],
)
def test_arguments_are_checked(options, match):
    with pytest.raises(ValueError, match=match):
        PredictionClient("localhost:1", "m", **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_is_not_there_is_retried_and_then_reported():
    started = time.monotonic()
    with (
        PredictionClient(f"127.0.0.1:{free_port()}", "m", retries=2) as client,
        pytest.raises(client_errors.UnreachableError, match="UNAVAILABLE"),
    ):
        client.predict(["good"])
    assert 0.05 < time.monotonic() - started < 5.0


def test_a_server_that_comes_up_meanwhile_is_reached(start, served, exported, tmp_path):
    import shutil

    port = free_port()
    shutil.copytree(exported / "reviews", tmp_path / "reviews" / "1")
    results = []
    with PredictionClient(f"127.0.0.1:{port}", "reviews", retries=30, timeout_seconds=30) as client:
        thread = threading.Thread(target=lambda: results.append(client.predict(["good"])))
        thread.start()
        time.sleep(0.2)
        start(model_name="reviews", model_base_path=str(tmp_path / "reviews"), port=port)
        thread.join()
    assert results[0][0].label == "yes"


def test_a_server_that_never_answers_runs_into_the_deadline():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            PredictionClient(target, "m", timeout_seconds=0.3) as client,
            pytest.raises((client_errors.TimedOutError, client_errors.UnreachableError), match=":"),
        ):
            client.predict(["good"])


def test_the_client_needs_no_tensorflow_and_leaves_it_whole():
    code = """
import sys
import deploy.serving.commands
from deploy.serving.client import PredictionClient
PredictionClient("localhost:1", "m").close()
assert not {"tensorflow", "tensorflow_serving", "rich", "aiohttp"} & {name.split(".")[0] for name in sys.modules}
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2
predict_pb2.PredictRequest().inputs["x"].dtype = 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_client_is_ready_soon_after_the_libraries_it_needs():
    # A ratio within one process, of processor time: together under 0.2 s on an idle machine, twice that on a busy one.
    code = """
import time
started = time.process_time()
import google.protobuf.message, grpc, numpy
libraries = time.process_time() - started
from deploy.serving.client import PredictionClient
PredictionClient("localhost:1", "m").close()
print((time.process_time() - started) / libraries)
"""

    def ratio():
        return float(subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True).stdout)

    assert min(ratio() for _ in range(5)) < 2.5
