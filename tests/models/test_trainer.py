import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.encoders.bert import load_reader
from models.spec import BertOptions
from models.trainer import run_fn
from models.training import device
from tests.models.conftest import make_rows, run_transform, write_split

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(spec, fn_args, tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained")
    run_fn(fn_args(directory, spec))
    return directory


def read_curve(directory):
    return json.loads((directory / "run" / "training.json").read_text())["curve"]


def test_leaves_what_later_steps_need(trained):
    extra = trained / "serving" / "assets.extra"
    assert (trained / "serving" / "saved_model.pb").exists()
    assert (extra / "classes.txt").read_text() == "no\nyes\n"
    assert (extra / "tf_serving_warmup_requests").stat().st_size > 0
    outcome = json.loads((trained / "run" / "training.json").read_text())
    assert outcome.keys() == {"curve", "best_epoch", "seconds", "rows_per_second", "temperatures", "tuned"}
    assert outcome["tuned"] == {}
    assert len(outcome["curve"]) == 2
    assert keras.models.load_model(trained / "run" / "model.keras").output.keys() == {"logits", "attention"}


def test_removes_its_checkpoint_when_done(trained):
    assert list((trained / "checkpoints").iterdir()) == []


def test_word_pieces_start_beside_their_neighbours_or_at_random(spec, fn_args, tmp_path, monkeypatch):
    started = []

    def stop(network, *_, **__):
        started.append(np.asarray(network.get_layer("word_pieces").embeddings))
        raise KeyboardInterrupt("stop")

    monkeypatch.setattr("models.trainer.train", stop)
    for initial in ("cooccurrence", "random"):
        model = spec.model.model_copy(update={"initial_embeddings": initial})
        with pytest.raises(KeyboardInterrupt, match="stop"):
            run_fn(fn_args(tmp_path, spec.model_copy(update={"model": model})))
    near, random = started
    assert near.std() == pytest.approx(0.15, rel=1e-3)
    assert not near[0].any()  # padding has no neighbours
    assert random[0].any()


def test_a_warm_start_goes_on_from_the_weights_that_are_served(spec, fn_args, trained, tmp_path, caplog):
    slow = {"warm_start": "latest_blessed", "learning_rate": 1e-9, "epochs": 1}
    warm = spec.model_copy(update={"train": spec.train.model_copy(update=slow)})
    with caplog.at_level("INFO", logger="attention"):
        run_fn(fn_args(tmp_path, warm, base_model=str(trained / "serving")))
    assert "starts from the live version: 37 of 37 weights are taken over" in caplog.text
    kept = json.loads((trained / "run" / "training.json").read_text())["best_epoch"]
    assert read_curve(tmp_path)[0]["val_loss"] == pytest.approx(read_curve(trained)[kept - 1]["val_loss"], rel=1e-4)


def test_a_warm_start_with_nothing_live_is_a_fresh_start(spec, fn_args, trained, tmp_path, caplog):
    warm = spec.model_copy(update={"train": spec.train.model_copy(update={"warm_start": "latest_blessed"})})
    with caplog.at_level("INFO", logger="attention"):
        run_fn(fn_args(tmp_path, warm, base_model=str(tmp_path / "nothing")))
    assert "The training starts afresh" in caplog.text
    assert read_curve(tmp_path) == read_curve(trained)


def test_a_checkpoint_of_another_training_is_not_taken_up(spec, fn_args, trained, tmp_path, monkeypatch):
    arguments = fn_args(tmp_path, spec)
    monkeypatch.setattr("models.trainer.export_model", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt("stop")))
    for number, changed in enumerate((spec, spec.model_copy(update={"name": "other"})), start=1):
        arguments.custom_config["model_spec"] = changed.model_dump_json()
        with pytest.raises(KeyboardInterrupt, match="stop"):
            run_fn(arguments)
        assert len(list((tmp_path / "checkpoints").iterdir())) == number


def test_one_class_alone_is_nothing_to_learn(spec, fn_args, tmp_path):
    rows = [{**row, "label": "yes"} for row in make_rows(20, seed=5)]
    pattern = write_split(tmp_path / "Split-train", rows)
    output = run_transform(pattern, spec, tmp_path).transform_savedmodel_dir
    arguments = fn_args(tmp_path, spec, transform_output=str(pathlib.Path(output).parent), train_files=[pattern])
    with pytest.raises(ValueError, match=r"at least two classes of `label`. Received: \['yes'\]"):
        run_fn(arguments)


def test_a_class_that_only_eval_has_is_refused(spec, fn_args, tmp_path):
    rows = make_rows(9, seed=6)
    pattern = write_split(tmp_path / "Split-eval", [*rows, {**rows[0], "label": "perhaps"}])
    with pytest.raises(ValueError, match="1 of 10 rows of the eval split"):
        run_fn(fn_args(tmp_path, spec, eval_files=[pattern]))


def test_a_class_that_eval_lacks_is_named_and_so_is_want_of_memory(spec, fn_args, tmp_path, caplog, monkeypatch):
    pattern = write_split(tmp_path / "Split-eval", [row for row in make_rows(20, seed=6) if row["label"] == "yes"])

    def out_of_memory(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[64,4,128,128]")

    monkeypatch.setattr("models.trainer.train", out_of_memory)
    with (
        caplog.at_level("INFO", logger="attention"),
        pytest.raises(MemoryError, match=r"Halve `train.batch_size`.*Received: train.batch_size=16, max_len=16"),
    ):
        run_fn(fn_args(tmp_path, spec, eval_files=[pattern]))
    assert "lacks 1 of the 2 classes of `label`, so the best epoch is chosen without them: no" in caplog.text


def test_an_empty_eval_split_is_refused(spec, fn_args, tmp_path):
    pattern = write_split(tmp_path / "Split-eval", [])
    with pytest.raises(ValueError, match="no row in"):
        run_fn(fn_args(tmp_path, spec, eval_files=[pattern]))


def test_refuses_another_backend_than_the_saved_model_needs(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="on jax"):
        device.require_keras_3()


def test_mixed_precision_is_for_gpus(caplog):
    with caplog.at_level("INFO", logger="attention"), device.precision(mixed=True, has_gpu=False):
        assert keras.config.dtype_policy().name == "float32"
    assert "training in float32" in caplog.text
    with device.precision(mixed=True, has_gpu=True):
        assert keras.config.dtype_policy().name == "mixed_float16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_a_killed_process_goes_on_and_gives_the_same_model(spec, fn_args, trained, tmp_path):
    arguments = tmp_path / "arguments.json"

    def start(seconds_per_step):
        arguments.write_text(
            json.dumps({"seconds_per_step": seconds_per_step, "fn_args": vars(fn_args(tmp_path, spec))})
        )
        command = [sys.executable, "-m", "tests.models.train_process", str(arguments)]
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})

    process = start(seconds_per_step=1)
    try:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("checkpoints/*/checkpoint.npz")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "serving").exists()

    assert start(seconds_per_step=0).wait() == 0
    assert read_curve(tmp_path) == read_curve(trained)
    resumed, whole = (keras.models.load_model(d / "run" / "model.keras").get_weights() for d in (tmp_path, trained))
    for left, right in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_bert_is_trained_from_its_preset(bert_spec, bert_transform_output, fn_args, tmp_path):
    output = str(pathlib.Path(bert_transform_output.transform_savedmodel_dir).parent)
    model = bert_spec.model.model_copy(update={"layer_decay": 0.9})
    run_fn(fn_args(tmp_path, bert_spec.model_copy(update={"model": model}), transform_output=output))
    assert read_curve(tmp_path)[-1]["val_accuracy"] > 0.6
    assert (tmp_path / "serving" / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    network = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert network.get_layer("bert").count_params() > 0


def test_a_bert_learns_from_the_top_where_it_is_unfrozen_gradually(
    bert_spec, bert_preset, bert_transform_output, fn_args, tmp_path, monkeypatch
):
    monkeypatch.setattr("models.training.state.TrainingState.take_best_weights", lambda state: None)
    output = str(pathlib.Path(bert_transform_output.transform_savedmodel_dir).parent)
    model = bert_spec.model.model_copy(update={"gradual_unfreezing": True})
    run_fn(fn_args(tmp_path, bert_spec.model_copy(update={"model": model}), transform_output=output))
    trained = keras.models.load_model(tmp_path / "run" / "model.keras").get_layer("bert").weights
    preset = load_reader(BertOptions(preset=bert_preset)).network
    before = {variable.path: np.asarray(variable) for variable in preset.weights}
    moved = {variable.path.split("/")[0] for variable in trained if not np.array_equal(variable, before[variable.path])}
    assert moved == {"transformer_layer_1"}  # in the second of two epochs


def test_what_was_trained_in_half_precision_is_saved_in_float32(spec, fn_args, tmp_path, monkeypatch):
    monkeypatch.setattr("models.trainer.grow_gpu_memory", lambda: True)
    options = {"mixed_precision": True, "epochs": 1, "calibration": "temperature"}
    mixed = spec.model_copy(update={"train": spec.train.model_copy(update=options)})
    run_fn(fn_args(tmp_path, mixed))
    assert keras.config.dtype_policy().name == "float32"
    network = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}
    assert (tmp_path / "serving" / "saved_model.pb").exists()
    assert json.loads((tmp_path / "run" / "training.json").read_text())["temperatures"]["label"] > 0
