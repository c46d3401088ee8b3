"""Several devices give the result of one: two virtual CPU devices, which are all that a machine without GPU has."""

import json
import logging
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.spec import ModelSpec, TrainOptions
from models.trainer import run_fn
from models.training.replicas import make_strategy


def make_spec(spec, **train) -> ModelSpec:
    """Without chance; clipped, weighted and penalized; 130 rows are batches of 21 + 22 and a last one of 0 + 1."""
    model = {"dropout": 0.0}
    if spec.model.encoder == "self_attention":
        model |= {"bigram_dropout": 0.0, "num_layers": 0}
    train = {"batch_size": 43, "clip_norm": 0.1, "l2": 1e-3, "class_weights": "balanced", **train}
    update = {"model": spec.model.model_copy(update=model), "train": spec.train.model_copy(update=train)}
    return spec.model_copy(update=update)


def start(directory, cpus, jobs, **environment) -> tuple[subprocess.Popen, pathlib.Path]:
    """Starts a process that trains; gives it back with the file that it writes its log to."""
    directory.mkdir(parents=True, exist_ok=True)
    arguments, log = directory / "arguments.json", directory / "log.txt"
    arguments.write_text(json.dumps({"cpus": cpus, "jobs": jobs}))
    command = [sys.executable, "-m", "tests.models.training.replicas_process", str(arguments)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), **environment}
    with log.open("w") as file:
        return subprocess.Popen(command, env=environment, stderr=file), log


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


def outcome_of(directory):
    return json.loads((directory / "run" / "training.json").read_text())


def assert_same_training(directory, alone, tolerance):
    outcome, of_one = outcome_of(directory), outcome_of(alone)
    assert outcome["best_epoch"] == of_one["best_epoch"]
    for logs, of_one_logs in zip(outcome["curve"], of_one["curve"], strict=True):
        assert logs == pytest.approx(of_one_logs, rel=1e-5)
    weights, of_one_weights = (
        keras.models.load_model(each / "run" / "model.keras").get_weights() for each in (directory, alone)
    )
    for left, right in zip(weights, of_one_weights, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance)


@pytest.mark.slow
def test_two_replicas_give_what_one_device_gives_also_after_a_kill(
    spec, bert_spec, bert_transform_output, fn_args, tmp_path
):
    run_fn(fn_args(tmp_path / "alone", make_spec(spec)))
    graph = pathlib.Path(bert_transform_output.transform_savedmodel_dir).parent
    of_bert = {"transform_output": str(graph)}
    run_fn(fn_args(tmp_path / "bert_alone", make_spec(bert_spec), **of_bert))
    arguments = vars(fn_args(tmp_path, make_spec(spec, strategy="mirrored")))
    killed, resumed = ({"fn_args": arguments, "kill_at": step} for step in (6, 0))  # after the first of two epochs
    bert = {"fn_args": vars(fn_args(tmp_path / "bert", make_spec(bert_spec, strategy="mirrored"), **of_bert))}
    process, log = start(tmp_path, 2, [killed, resumed, {**bert, "kill_at": 0}])
    assert process.wait(300) == 0, log.read_text()
    assert "Training goes on at epoch 2, step 1" in log.read_text()
    # Adam divides by the root of a squared gradient, which lifts the rounding of small ones.
    assert_same_training(tmp_path, tmp_path / "alone", tolerance=1e-4)
    assert_same_training(tmp_path / "bert", tmp_path / "bert_alone", tolerance=1e-4)
    served = tf.saved_model.load(str(tmp_path / "serving"))
    assert "serving_default" in served.signatures


@pytest.mark.slow
def test_two_workers_give_what_one_gives_and_the_chief_alone_writes(spec, fn_args, tmp_path):
    plain = {"epochs": 1, "optimizer": "sgd", "learning_rate": 0.5}  # Adam hides a gradient that is twice too large
    run_fn(fn_args(tmp_path / "alone", make_spec(spec, **plain)))
    spec = make_spec(spec, strategy="multi_worker", **plain)
    ports = [free_port() for _ in range(2)]
    cluster = {"chief": [f"localhost:{ports[0]}"], "worker": [f"localhost:{ports[1]}"]}  # as Kubeflow's TFJob has it
    workers = []
    try:
        for name in cluster:
            tf_config = {"cluster": cluster, "task": {"type": name, "index": 0}}
            job = {"fn_args": vars(fn_args(tmp_path / name, spec)), "kill_at": 0}
            workers.append(start(tmp_path / name, 1, [job], TF_CONFIG=json.dumps(tf_config)))
        for process, log in reversed(workers):
            assert process.wait(300) == 0, log.read_text()
            assert (tmp_path / "chief" / "serving" / "saved_model.pb").exists()  # TFX looks for it at once
    finally:
        for process, _ in workers:
            process.kill()
            process.wait()
    assert_same_training(tmp_path / "chief", tmp_path / "alone", tolerance=1e-5)
    written = sorted(str(path.relative_to(tmp_path / "worker")) for path in (tmp_path / "worker").rglob("*"))
    assert written == ["arguments.json", "log.txt", "run"]


def test_without_a_second_device_there_is_one_and_that_is_said(monkeypatch, caplog):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with caplog.at_level(logging.INFO, logger="attention"):
        assert make_strategy(TrainOptions()).num_replicas_in_sync == 1
        assert not caplog.messages
        assert make_strategy(TrainOptions(strategy="mirrored")).num_replicas_in_sync == 1
        assert make_strategy(TrainOptions(strategy="multi_worker")).num_replicas_in_sync == 1
        monkeypatch.setenv(
            "TF_CONFIG", '{"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}'
        )
        assert make_strategy(TrainOptions(strategy="multi_worker")).num_replicas_in_sync == 1
    assert caplog.messages == [
        "`train.strategy: mirrored` wants two GPUs or more, and there is none: training on one device",
        "`train.strategy: multi_worker` wants TF_CONFIG in the environment to name two workers or more, and it is not "
        "set: training in this process alone",
        "`train.strategy: multi_worker` wants TF_CONFIG in the environment to name two workers or more, and it names "
        "one: training in this process alone",
    ]


def test_several_workers_want_a_process_of_their_own(monkeypatch):
    tf.constant(1)
    monkeypatch.setenv(
        "TF_CONFIG", '{"cluster": {"worker": ["localhost:1", "localhost:2"]}, "task": {"type": "worker", "index": 0}}'
    )
    with pytest.raises(RuntimeError, match="must be the first thing that TensorFlow does in a process.*Received: "):
        make_strategy(TrainOptions(strategy="multi_worker"))


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": {"ps": []}}', '{"cluster": {"worker": 2}}'])
def test_a_tf_config_that_names_no_workers_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON like.* Received: "):
        make_strategy(TrainOptions(strategy="multi_worker"))
