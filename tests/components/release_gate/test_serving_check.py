"""What a fresh process finds in good and broken models."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.utils import path_utils

from components.release_gate.fresh_process import fresh_process
from components.release_gate.options import ReleaseGateOptions
from components.release_gate.serving_check import serving_gates

pytestmark = pytest.mark.slow


@pytest.fixture
def model(model_artifact, tmp_path):
    """A copy that may be broken."""
    return Path(shutil.copytree(path_utils.serving_model_dir(model_artifact.uri), tmp_path / "model"))


def check(model, tmp_path, **options):
    settings = ReleaseGateOptions(**options)
    with fresh_process(model, tmp_path / "replay.json", settings.timeout_seconds) as process:
        gates = serving_gates(process, tmp_path, settings)
    assert [gate.name for gate in gates[:2]] == ["serving/load", "serving/ops"]
    return {gate.name.removeprefix("serving/"): gate for gate in gates}


def shift_attention(log, by):
    """Lets a recorded answer be off."""
    changed = tf.make_ndarray(log.predict_log.response.outputs["attention"]) + np.float32(by)
    log.predict_log.response.outputs["attention"].CopyFrom(tf.make_tensor_proto(changed))


def failed(gates):
    return {name for name, gate in gates.items() if not gate.passed}


def test_requests_run_at_a_time_are_answered_in_order(model, tmp_path):
    inputs = {"review": np.array([b"good " * row for row in range(1, 400)], object)}
    batches = [np.arange(row, row + 8) for row in range(300)]
    with fresh_process(model, tmp_path / "replay.json", 60) as process:

        def ask(at_once):
            started = time.monotonic()
            answer = process.ask(model, "serving_default", inputs, batches, ["probabilities"], at_once)
            return answer, time.monotonic() - started

        one, _ = ask(1)
        four, elapsed = ask(4)
    for ours, theirs in zip(one["outputs"], four["outputs"], strict=True):
        np.testing.assert_allclose(ours["probabilities"], theirs["probabilities"], atol=1e-6)
    assert len(four["seconds"]) == len(batches)
    assert sum(four["seconds"]) > 1.2 * elapsed, "one waited for the other"


def test_a_good_model_passes_with_numbers(model, tmp_path, tiny_models):
    plain, explain, *others = tiny_models.read_requests(model)
    shift_attention(explain, 0.9e-4)
    tiny_models.write_requests(model, [plain, explain, *others])
    gates = check(model, tmp_path)
    assert not failed(gates), gates
    assert set(gates) == {"load", "ops", "serving_default", "classify", "examples", "explain"}
    assert gates["serving_default"].value <= 1e-6
    assert gates["serving_default"].limit == 1e-4
    assert gates["explain"].value == pytest.approx(0.9e-4, rel=1e-2)
    assert "answered 1 recorded requests" in gates["classify"].why
    ops = json.loads((tmp_path / "ops.json").read_text())
    assert ops["LookupTableFindV2"] == {"count": ops["LookupTableFindV2"]["count"], "from": "tensorflow"}
    assert [op for op, found in ops.items() if found["from"] == "tensorflow_text"], "the Text op is not told apart"
    result = json.loads((tmp_path / "replay.json").read_text())
    assert result["own_modules"] == []
    assert 1e7 < result["memory_before_bytes"] < result["peak_memory_bytes"]


def test_wrong_numbers_wrong_strings_and_missing_parts_are_told_apart(model, tmp_path, tiny_models):
    plain, explain, examples, classify = tiny_models.read_requests(model)
    plain.predict_log.response.outputs["probabilities"].tensor_content = b""
    shift_attention(explain, 1.1e-4)
    examples.predict_log.response.outputs["label"].string_val[0] = b"perhaps"
    classify.classify_log.response.result.classifications[0].classes[0].score += 0.5
    plain.predict_log.request.inputs["age"].CopyFrom(tf.make_tensor_proto([1.0], tf.float64))
    tiny_models.write_requests(model, [plain, explain, examples, classify])
    gates = check(model, tmp_path)
    assert failed(gates) == {"serving_default", "explain", "examples", "classify"}
    assert gates["explain"].value == pytest.approx(1.1e-4, rel=1e-2)
    assert "1 other values differ" in gates["examples"].why
    assert gates["classify"].value == pytest.approx(0.5, rel=1e-3)
    assert "input `age` is float32, recorded is float64" in gates["serving_default"].why


def test_a_signature_without_a_request_fails(model, tmp_path, tiny_models):
    logs = tiny_models.read_requests(model)
    logs[2].predict_log.ClearField("response")
    tiny_models.write_requests(model, logs[1:])
    gates = check(model, tmp_path)
    assert failed(gates) == {"serving_default", "examples"}
    assert gates["serving_default"].why == (
        "There is no recorded request for `serving_default`, so it could not be checked."
    )
    assert "a recorded request has no response" in gates["examples"].why


def test_no_recorded_requests_at_all_fails(model, tmp_path):
    (model / "assets.extra" / "tf_serving_warmup_requests").unlink()
    gates = check(model, tmp_path)
    assert failed(gates) == {"load", "serving_default", "classify", "examples", "explain"}
    assert "carries no recorded requests" in gates["load"].why


def test_a_signature_that_is_asked_for_and_missing_fails(model, tmp_path):
    gates = check(model, tmp_path, signatures=("serving_default", "embed"))
    assert failed(gates) == {"embed"}
    assert gates["embed"].why == "The model has no signature `embed`."


def test_a_predict_method_cannot_classify(tmp_path, tiny_models):
    tiny_models.export(tmp_path / "model", classify_method="tensorflow/serving/predict")
    gates = check(tmp_path / "model", tmp_path)
    assert failed(gates) == {"classify"}
    assert "the Classify API wants tensorflow/serving/classify" in gates["classify"].why


def test_a_truncated_model_fails_and_is_not_an_exception(model, tmp_path):
    (model / "saved_model.pb").write_bytes((model / "saved_model.pb").read_bytes()[:500])
    gates = check(model, tmp_path)
    assert {"load", "ops", "serving_default"} <= failed(gates)
    assert gates["load"].why.startswith("A fresh process could not serve the model: ")
    assert gates["ops"].why == "The model's operations could not be listed."


def test_a_model_without_its_variables_fails(model, tmp_path):
    shutil.rmtree(model / "variables")
    gates = check(model, tmp_path)
    assert {"load", "serving_default"} <= failed(gates)


def test_operations_are_held_to_the_target_servers(model, tmp_path):
    assert not failed(check(model, tmp_path))
    known = tuple(json.loads((tmp_path / "ops.json").read_text()))
    text = [op for op in known if "Normalize" in op]
    gates = check(model, tmp_path, known_ops=tuple(set(known) - set(text)))
    assert failed(gates) == {"ops"}
    assert gates["ops"].value == len(text)
    assert text[0] in gates["ops"].why


def test_a_model_that_calls_back_into_python_fails(tmp_path):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serve(x):
        return {"y": tf.numpy_function(lambda value: value + 1, [x], tf.float32)}

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": serve})
    gates = check(tmp_path / "model", tmp_path, signatures=("serving_default",))
    assert "ops" in failed(gates)
    assert "are not known to this TensorFlow: PyFunc" in gates["ops"].why


def test_too_slow_fails(model, tmp_path):
    gates = check(model, tmp_path, timeout_seconds=0.2)
    assert {"load", "ops", "explain"} <= failed(gates)
    assert "it was not done within 0.2 s" in gates["load"].why
