"""What is pushed, and what is not."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components.answer_record import AnswerRecord
from components.artifacts import DataBlessing
from components.gates import Gate, publish_gates
from components.pusher import executor, versions
from components.pusher.component import Pusher


@pytest.fixture
def inputs(model_artifact, tmp_path):
    """Everything that the Pusher takes, blessed."""
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(tmp_path / "statistics")
    statistics.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for split in ("train", "eval"):
        path = Path(statistics.uri, f"Split-{split}", "FeatureStats.pb")
        path.parent.mkdir(parents=True)
        path.write_bytes(split.encode())
    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")
    Path(schema.uri).mkdir()
    Path(schema.uri, "schema.pbtxt").write_text('feature { name: "label" }')
    model_blessing = standard_artifacts.ModelBlessing()
    model_blessing.set_int_custom_property("blessed", 1)
    model_blessing.set_string_custom_property("current_model", model_artifact.uri)
    infra_blessing = standard_artifacts.InfraBlessing()
    infra_blessing.set_int_custom_property("blessed", 1)
    return {
        "model": [model_artifact],
        "model_blessing": [model_blessing],
        "infra_blessing": [infra_blessing],
        "statistics": [statistics],
        "schema": [schema],
    }


def push(inputs, serving_dir, keep_versions=2, **more):
    """Runs the executor; returns the custom properties of its output."""
    pushed = standard_artifacts.PushedModel()
    properties = {"serving_dir": str(serving_dir), "keep_versions": keep_versions, **more}
    executor.Executor().Do(inputs, {"pushed_model": [pushed]}, properties)
    names = ("reason", "content_hash", "pushed_destination")
    strings = {name: pushed.get_string_custom_property(name) for name in names}
    return {**strings, **{name: pushed.get_int_custom_property(name) for name in ("pushed", "version")}}


def test_a_blessed_model_becomes_a_version_with_its_release(inputs, tmp_path):
    serving = tmp_path / "serving" / "m"
    result = push(inputs, serving)
    assert (result["pushed"], result["version"]) == (1, 1)
    assert result["pushed_destination"] == str(serving / "1")
    release = versions.read_release(serving, 1)
    assert release["content_hash"] == result["content_hash"]
    assert release["version"] == 1
    assert set(release) == {"version", "content_hash", "run_id", "created", "tensorflow"}
    assert versions.statistics_file(serving, 1, "eval").read_bytes() == b"eval"
    assert (versions.release_dir(serving, 1) / "schema.pbtxt").read_text().startswith("feature")
    assert str(tmp_path) not in json.dumps(release)

    loaded = tf.saved_model.load(str(serving / "1"))
    answer = loaded.signatures["serving_default"](review=tf.constant(["good"]), age=tf.constant([50.0]))
    assert answer["label"].numpy()[0] in (b"no", b"yes")


def test_the_same_content_is_not_pushed_again(inputs, tmp_path, tiny_models):
    push(inputs, tmp_path / "serving")
    again = standard_artifacts.Model()
    again.uri = str(tmp_path / "again")
    tiny_models.export(path_utils.serving_model_dir(again.uri))
    inputs["model_blessing"][0].set_string_custom_property("current_model", again.uri)
    result = push({**inputs, "model": [again]}, tmp_path / "serving")
    assert (result["pushed"], result["version"]) == (0, 1)
    assert result["reason"] == "Nothing new: version 1, which is live, computes the same."
    assert list(versions.version_dirs(tmp_path / "serving")) == [1]


def test_what_was_live_before_is_pushed_again(inputs, tmp_path, tiny_models):
    other = standard_artifacts.Model()
    other.uri = str(tmp_path / "other")
    tiny_models.export(path_utils.serving_model_dir(other.uri), weight=2.0)
    for number, model in enumerate([inputs["model"][0], other, inputs["model"][0]], start=1):
        inputs["model_blessing"][0].set_string_custom_property("current_model", model.uri)
        result = push({**inputs, "model": [model]}, tmp_path / "serving")
        assert (result["pushed"], result["version"]) == (1, number)
    assert result["reason"] == "Pushed as version 3. Deleted, being older than the newest 2: 1."


def test_versions_with_a_label_stay_whatever_their_age(inputs, tmp_path, tiny_models):
    models = [inputs["model"][0], standard_artifacts.Model(), standard_artifacts.Model(), standard_artifacts.Model()]
    for number, model in enumerate(models, start=1):
        if number > 1:
            model.uri = str(tmp_path / f"model{number}")
            tiny_models.export(path_utils.serving_model_dir(model.uri), weight=float(number))
        inputs["model_blessing"][0].set_string_custom_property("current_model", model.uri)
        labelled = {**inputs, "model": [model]}
        assert push(labelled, tmp_path / "serving", protected_versions="[1]")["pushed"] == 1
    assert list(versions.version_dirs(tmp_path / "serving")) == [1, 3, 4]
    again = push(labelled, tmp_path / "serving", protected_versions="[1]")
    assert again["reason"] == "Nothing new: version 4, the newest one, computes the same."


@pytest.mark.parametrize("blessing", ["model_blessing", "infra_blessing"])
@pytest.mark.parametrize("blessed", [0, None])
def test_without_both_blessings_nothing_is_pushed(inputs, tmp_path, blessing, blessed):
    refused = type(inputs[blessing][0])()
    if blessed is not None:
        refused.set_int_custom_property("blessed", blessed)
    result = push({**inputs, blessing: [refused]}, tmp_path / "serving")
    assert (result["pushed"], result["version"]) == (0, 0)
    assert result["reason"].endswith("did not bless the model.")
    assert not (tmp_path / "serving").exists()


def test_what_was_overruled_answered_kept_and_what_the_texts_were_like_travel_with_the_version(inputs, tmp_path):
    data, infra = DataBlessing(), standard_artifacts.InfraBlessing()
    data.uri, infra.uri = str(tmp_path / "data"), str(tmp_path / "infra")
    publish_gates(data, [Gate("leak/age", False, 0.9, 0.5, "It leaks.", overruled="It is known before.")])
    Path(data.uri, "text_profile.json").write_text("{}")
    evaluators = Gate("metric/blessing", False, 0, 1, "The Evaluator did not bless the model.", overruled="So be it.")
    publish_gates(infra, [evaluators])
    answers = AnswerRecord(rows=1, heads={}, tokens=5, unknown_tokens=1)
    answers.write(Path(infra.uri))
    Path(infra.uri, "kept").mkdir()
    Path(infra.uri, "kept", "kept.json").write_text("[]")
    inputs |= {"data_blessing": [data], "infra_blessing": [infra]}
    inputs["model_blessing"] = [standard_artifacts.ModelBlessing()]
    assert push(inputs, tmp_path / "serving")["pushed"] == 1
    release = versions.read_release(tmp_path / "serving", 1)
    assert release["overruled"] == {"leak/age": "It is known before.", "metric/blessing": "So be it."}
    assert versions.text_profile(tmp_path / "serving", 1).read_text() == "{}"
    assert AnswerRecord.read(versions.release_dir(tmp_path / "serving", 1)) == answers
    assert Path(versions.release_dir(tmp_path / "serving", 1), "kept", "kept.json").read_text() == "[]"


def test_a_blessing_of_another_model_does_not_count(inputs, tmp_path):
    inputs["model_blessing"][0].set_string_custom_property("current_model", "/other")
    assert push(inputs, tmp_path / "serving")["reason"] == "The Evaluator blessed another model (/other)."


def test_a_foreign_live_version_is_not_taken_for_the_same(inputs, tmp_path):
    shutil.copytree(path_utils.serving_model_dir(inputs["model"][0].uri), tmp_path / "serving" / "7")
    result = push(inputs, tmp_path / "serving")
    assert (result["pushed"], result["version"]) == (1, 8)


def test_an_object_store_is_refused(inputs):
    with pytest.raises(ValueError, match="`serving_dir` must be a path of a file system that renames at once"):
        push(inputs, "gs://bucket/serving")


def test_a_missing_blessing_is_an_error_when_the_pipeline_is_built(inputs):
    channels = {name: artifact_utils_channel(artifacts) for name, artifacts in inputs.items()}
    with pytest.raises(ValueError, match="`infra_blessing` must be given: nothing is pushed without both blessings"):
        Pusher(**{**channels, "infra_blessing": None}, serving_dir="serving")
    with pytest.raises(ValueError, match="`keep_versions` must be at least 2.*Received: 1"):
        Pusher(**channels, serving_dir="serving", keep_versions=1)


def artifact_utils_channel(artifacts):
    from tfx.types import channel_utils

    return channel_utils.as_channel(artifacts)
