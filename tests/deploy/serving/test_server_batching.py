"""A whole server with `--enable_batching`."""

import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2

from deploy.serving.client import PredictionClient
from deploy.serving.flags import ServerOptions
from tests.deploy.serving.grpc_requests import example, examples_request, good, predict_request, refused
from tests.deploy.serving.running_server import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def batched(start, exported, tmp_path):
    """Starts a server with batching for `reviews`, and `numbers` beside it."""
    for name in ("reviews", "numbers"):
        shutil.copytree(exported / name, tmp_path / name / "1")
    models, parameters, monitoring = (tmp_path / name for name in ("models.config", "batching.config", "monitoring"))
    models.write_text(
        "model_config_list {"
        + "".join(
            f'config {{ name: "{name}" base_path: "{tmp_path}/{name}" model_platform: "tensorflow" }}'
            for name in ("reviews", "numbers")
        )
        + "}"
    )
    monitoring.write_text("prometheus_config { enable: true }")

    def begin(text):
        parameters.write_text(text)
        return start(
            model_config_file=models,
            enable_batching=True,
            batching_parameters_file=parameters,
            monitoring_config_file=monitoring,
        )

    return begin


def test_calls_share_runs_and_nobody_gets_the_answer_of_another(batched):
    server = batched(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 2000 } "
        "allowed_batch_sizes: 8 allowed_batch_sizes: 32"
    )
    wrong = []

    def rows(generator, seed):
        count = int(generator.integers(1, 5))
        words = ["good" if generator.random() < 0.5 else "bad" for _ in range(count)]
        texts = [f"{word} {seed} " + "x" * int(generator.integers(0, 2000)) for word in words]
        return texts, ["yes" if word == "good" else "no" for word in words]

    def ask(seed):
        generator = np.random.default_rng(seed)
        with PredictionClient(server.target, "reviews") as client:
            for turn in range(12):
                texts, expected = rows(generator, seed)
                if turn % 4 == 0:
                    found = [(p.label, [w.text for w in p.words][-2][:2]) for p in client.explain(texts)]
                    expected = [(label, text.split()[-1][:2]) for label, text in zip(expected, texts, strict=True)]
                elif turn % 4 == 1:
                    request = examples_request(
                        classification_pb2.ClassificationRequest,
                        "name: 'reviews' signature_name: 'classify'",
                        *[example(review=text, age=0.0) for text in texts],
                    )
                    result = server.predictions.Classify(request).result
                    found = [max(c.classes, key=lambda one: one.score).label for c in result.classifications]
                elif turn % 4 == 2:
                    body = {"instances": [{"review": text, "age": 0.0} for text in texts]}
                    _, answer = server.rest("POST", "/v1/models/reviews:predict", body)
                    found = [one["label"] for one in answer["predictions"]]
                else:
                    found = [p.label for p in client.predict(texts)]
                if found != expected:
                    wrong.append((seed, turn, found, expected))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, range(12)))
    assert wrong == []
    page = requests.get(server.rest_url + "/monitoring/prometheus/metrics", timeout=10).text
    batches, rows_ = (
        float(
            re.search(rf'^:attention:serving:batch_size_{kind}{{model_name="reviews",version="1"}} (\S+)', page, re.M)[
                1
            ]
        )
        for kind in ("count", "sum")
    )
    assert rows_ / batches > 2.5  # more than the rows of one request
    assert ":tensorflow:serving:batching_session:queuing_latency_count" in page


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (
            predict_request("name: 'numbers' signature_name: 'slow'", steps=tf.constant(1)),
            ("INVALID_ARGUMENT", "Batching Run() input tensors must have at least one dimension"),
        ),
        (
            predict_request(review=["a", "b"], age=[1.0]),
            ("INVALID_ARGUMENT", "Batching Run() input tensors must have equal 0th-dimension size"),
        ),
        (
            predict_request(review=["a"] * 9, age=[1.0] * 9),
            ("INVALID_ARGUMENT", "Task size 9 is larger than maximum input batch size 8"),
        ),
        (predict_request(**good(age=[True])), ("INVALID_ARGUMENT", "Expects arg[0] to be float but bool is provided")),
    ],
)
def test_refusals_are_those_of_the_original(batched, request_, answer):
    server = batched("max_batch_size { value: 8 }")
    assert refused(server.predictions.Predict, request_) == answer


@pytest.mark.parametrize("pad", [False, True])
def test_rows_of_different_shape_are_padded_or_refused(batched, pad):
    server = batched(
        "max_batch_size { value: 2 } batch_timeout_micros { value: 2000000 } "
        f"pad_variable_length_inputs: {str(pad).lower()}"
    )
    wide = server.predictions.Predict.future(predict_request("name: 'numbers'", x=[[1.0, 2.0]]))
    narrow = server.predictions.Predict.future(predict_request("name: 'numbers'", x=[[4.0]]))
    if pad:
        assert list(wide.result().outputs["y"].float_val) == [2.5, 3.0]
        assert list(narrow.result().outputs["y"].float_val) == [4.0, 4.0]
    else:
        for call in (wide, narrow):
            assert call.exception().code().name == "FAILED_PRECONDITION"
            assert call.exception().details().startswith("Tensors with name 'serving_default_x:0' from different tasks")


def test_a_deadline_ends_the_wait_and_the_request_is_never_run(batched):
    server = batched("max_batch_size { value: 8 } batch_timeout_micros { value: 2000000 }")
    started = time.monotonic()
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        server.predictions.Predict(predict_request(**good()), timeout=0.1)
    assert time.monotonic() - started < 1.8
    time.sleep(2.2)
    page = requests.get(server.rest_url + "/monitoring/prometheus/metrics", timeout=10).text
    assert ":attention:serving:batch_size_count" not in page


def test_a_new_version_takes_over_while_batches_run(batched, exported, tmp_path):
    server = batched("max_batch_size { value: 16 } batch_timeout_micros { value: 1000 }")
    versions, failures, stop = [], [], threading.Event()

    def ask():
        with PredictionClient(server.target, "reviews", retries=0) as client:
            while not stop.is_set():
                try:
                    versions.append(client.predict(["good"])[0].version)
                except Exception as error:  # noqa: BLE001  # whatever it is, it is a failure
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(versions) > 20)
    shutil.copytree(exported / "reviews_biased", tmp_path / "reviews" / ".2")
    (tmp_path / "reviews" / ".2").rename(tmp_path / "reviews" / "2")
    wait_until(lambda: server.states("reviews") == {1: "END", 2: "AVAILABLE"})
    count = len(versions)
    wait_until(lambda: len(versions) > count + 20)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert versions[-1] == 2


def test_a_parameters_file_without_batching_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`--batching_parameters_file` needs `--enable_batching`"):
        ServerOptions(model_base_path="/m", batching_parameters_file=tmp_path / "b")
