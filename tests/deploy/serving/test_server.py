"""What a server does beside answering: health, reflection, draining, and keeping clients apart."""

import shutil
import threading
import time

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow_serving.apis import predict_pb2

from deploy.serving.status import InvalidArgumentError
from tests.deploy.serving.grpc_requests import good, predict_request
from tests.deploy.serving.running_server import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def numbers(start, exported, tmp_path):
    shutil.copytree(exported / "numbers", tmp_path / "numbers" / "1")
    return start(model_name="numbers", model_base_path=str(tmp_path / "numbers"))


def slow_request(steps):
    return predict_request("name: 'numbers' signature_name: 'slow'", steps=tf.constant(steps))


@pytest.fixture(scope="module")
def steps_per_second(served):
    started = time.monotonic()
    served.predictions.Predict(slow_request(20_000))
    return 20_000 / (time.monotonic() - started)


@pytest.mark.parametrize("service", ["", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"])
def test_health_is_serving(served, service):
    stub = health_pb2_grpc.HealthStub(served.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_services(served):
    database = ProtoReflectionDescriptorDatabase(served.channel)
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= set(database.get_services())
    file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
    assert [method.name for method in file.service[0].method] == [
        "Classify",
        "Regress",
        "Predict",
        "MultiInference",
        "GetModelMetadata",
    ]
    assert database.FindFileContainingSymbol("tensorflow.TensorProto").name == "tensorflow/core/framework/tensor.proto"


@pytest.mark.parametrize(
    ("call", "match"),
    [
        ("PredictionService/PredictStreamed", "PredictionService.PredictStreamed is left out of this server"),
        ("SessionService/SessionRun", "SessionService.SessionRun is left out of this server"),
        ("PredictionService/Guess", "Method not found"),
    ],
)
def test_calls_that_the_server_does_not_have_are_unimplemented(served, call, match):
    method = served.channel.unary_unary(f"/tensorflow.serving.{call}")
    with pytest.raises(grpc.RpcError, match=match) as caught:
        method(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_rest_gives_up_after_its_timeout(start, exported, tmp_path, steps_per_second):
    shutil.copytree(exported / "numbers", tmp_path / "m" / "1")
    server = start(model_name="m", model_base_path=str(tmp_path / "m"), rest_api_timeout_in_ms=100)
    body = {"signature_name": "slow", "inputs": {"steps": int(steps_per_second * 2.0)}}
    started = time.monotonic()
    assert server.rest("POST", "/v1/models/m:predict", body) == (504, {"error": "No answer within 0.1 seconds."})
    assert time.monotonic() - started < 1.5


def test_metrics_are_off_without_a_monitoring_file(numbers):
    assert requests.get(numbers.rest_url + "/monitoring/prometheus/metrics", timeout=10).status_code == 404


def test_a_monitoring_file_that_cannot_be_read_is_refused(start, tmp_path):
    file = tmp_path / "monitoring.config"
    file.write_text("prometheus_config { on: true }")
    with pytest.raises(InvalidArgumentError, match="Invalid protobuf file"):
        start(model_base_path=str(tmp_path), monitoring_config_file=file)


def test_a_port_that_is_taken_is_said(served, start, exported, tmp_path):
    shutil.copytree(exported / "numbers", tmp_path / "m" / "1")
    port = int(served.target.rpartition(":")[2])
    with pytest.raises(OSError, match=f"gRPC cannot listen on 127.0.0.1:{port}"):
        start(model_base_path=str(tmp_path / "m"), port=port)


def test_nobody_gets_the_answer_of_another(served):
    wrong = []

    def ask(seed):
        generator = np.random.default_rng(seed)
        for _ in range(50):
            texts = [f"{'good' if generator.random() < 0.5 else 'bad'} {seed}" for _ in range(generator.integers(1, 5))]
            request = predict_request("name: 'reviews' version { value: 1 }", review=texts, age=[0.0] * len(texts))
            response = served.predictions.Predict(request)
            expected = [b"yes" if text.startswith("good") else b"no" for text in texts]
            if list(response.outputs["label"].string_val) != expected:
                wrong.append(texts)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_deadline_is_kept_and_the_server_lives_on(served, steps_per_second):
    request = slow_request(int(steps_per_second * 2.5))
    started = time.monotonic()
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        served.predictions.Predict(request, timeout=0.1)
    assert time.monotonic() - started < 2
    assert served.predictions.Predict(predict_request(**good())).model_spec.version.value == 2


def test_an_old_version_leaves_only_when_its_last_answer_is_given(numbers, exported, tmp_path, steps_per_second):
    running = numbers.predictions.Predict.future(slow_request(int(steps_per_second * 4.0)))
    time.sleep(0.1)
    shutil.copytree(exported / "numbers", tmp_path / "numbers" / ".2")
    (tmp_path / "numbers" / ".2").rename(tmp_path / "numbers" / "2")
    wait_until(lambda: numbers.states("numbers") == {1: "UNLOADING", 2: "AVAILABLE"})
    assert not running.done()
    assert running.result().model_spec.version.value == 1
    wait_until(lambda: numbers.states("numbers") == {1: "END", 2: "AVAILABLE"})


def test_a_call_that_its_client_gave_up_still_holds_its_version(numbers, exported, tmp_path, steps_per_second):
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        numbers.predictions.Predict(slow_request(int(steps_per_second * 3.0)), timeout=0.2)
    shutil.copytree(exported / "numbers", tmp_path / "numbers" / ".2")
    (tmp_path / "numbers" / ".2").rename(tmp_path / "numbers" / "2")
    wait_until(lambda: numbers.states("numbers") == {1: "UNLOADING", 2: "AVAILABLE"})
    wait_until(lambda: numbers.states("numbers") == {1: "END", 2: "AVAILABLE"})


def test_stopping_answers_what_is_under_way_and_takes_nothing_new(numbers, steps_per_second):
    running = numbers.predictions.Predict.future(slow_request(int(steps_per_second * 1.0)))
    time.sleep(0.1)
    stopping = threading.Thread(target=numbers.call, args=(numbers.server.core.drain(30),))
    stopping.start()
    time.sleep(0.1)
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        numbers.predictions.Predict(slow_request(1), timeout=5)
    status, body = numbers.rest("POST", "/v1/models/numbers:predict", {"instances": [1.0]})
    assert (status, body) == (503, {"error": "The server is stopping."})
    assert running.result().outputs["counted"].int_val[0] > 0
    stopping.join()


def test_large_messages_and_long_texts_are_answered(served):
    text = "good " * 300_000
    request = predict_request("name: 'reviews' version { value: 1 }", review=[text] * 4, age=[0.0] * 4)
    assert request.ByteSize() > 5_000_000
    assert list(served.predictions.Predict(request).outputs["label"].string_val) == [b"yes"] * 4
    body = {"instances": [{"review": text, "age": 0.0}]}
    status, answer = served.rest("POST", "/v1/models/reviews:predict", body)
    assert (status, answer["predictions"][0]["label"]) == (200, "yes")


def test_bytes_that_are_no_message_do_no_harm(served):
    call = served.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError, match="The request is no tensorflow.serving.PredictRequest"):
        call(b"\xff\xff\xff")
    assert served.predictions.Predict(predict_request(**good())).outputs["label"].string_val[0] == b"yes"


def test_texts_that_are_no_utf_8_and_numbers_that_are_none_are_answered(served):
    request = predict_request("name: 'reviews' version { value: 1 }", review=[b"\xff\xfe good"], age=[float("inf")])
    response = served.predictions.Predict(request)
    assert isinstance(response, predict_pb2.PredictResponse)
    assert np.isinf(response.outputs["probabilities"].float_val).all()
    status, body = served.rest(
        "POST", "/v1/models/reviews:predict", b'{"inputs": {"review": ["a"], "age": [Infinity]}}'
    )
    assert (status, body["outputs"]["probabilities"]) == (200, [[float("-inf"), float("inf")]])
