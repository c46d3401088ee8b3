"""The Evaluator's verdict and the replay together, on what TFX's Evaluator really wrote."""

import json
import re
import shutil
from pathlib import Path

import apache_beam as beam
import numpy as np
import psutil
import pytest
from google.protobuf import json_format
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2
from tfx.components.evaluator import executor as evaluator
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.answer_record import AnswerRecord
from components.gates import read_gates
from components.pusher.content_hash import content_hash
from components.release_gate import executor
from components.release_gate.fresh_process import fresh_process
from components.release_gate.model_gates import Candidate, judge
from components.release_gate.options import HeadOptions, ReleaseGateOptions
from components.release_gate.quality import quality_gates
from components.release_gate.resampling import Noise

pytestmark = pytest.mark.slow


class Accuracy(metric_types.Metric):
    """`accuracy` and `error` of a model that says its class in `label`."""

    def __init__(self, name="accuracy"):
        super().__init__(metric_util.merge_per_key_computations(computations), name=name)


metric_types.register_metric(Accuracy)


def computations(name="accuracy", eval_config=None, model_name="", output_name=""):
    keys = [
        metric_types.MetricKey(key, model_name, output_name, example_weighted=None) for key in ("accuracy", "error")
    ]
    return [metric_types.MetricComputation(keys=keys, preprocessors=None, combiner=CountRight(model_name, keys))]


class CountRight(beam.CombineFn):
    def __init__(self, model_name, keys):
        self.model_name, self.keys = model_name, keys

    def create_accumulator(self):
        return np.zeros(2)

    def add_input(self, accumulator, element):
        label = np.ravel(element.get_labels(self.model_name))[0]
        right = label == np.ravel(element.get_predictions(self.model_name)["label"])[0]
        return accumulator + np.array([right, 1])

    def merge_accumulators(self, accumulators):
        return sum(accumulators)

    def extract_output(self, accumulator):
        right, rows = accumulator
        return dict(zip(self.keys, (right / rows, 1 - right / rows), strict=True))


def eval_config(slices=((),), **thresholds):
    """Metric → (min, max, greatest drop), each or None."""
    spec = config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name="Accuracy")])
    for name, (low, high, drop) in thresholds.items():
        threshold = spec.thresholds[name]
        if low is not None:
            threshold.value_threshold.lower_bound.value = low
        if high is not None:
            threshold.value_threshold.upper_bound.value = high
        if drop is not None:
            threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
            threshold.change_threshold.absolute.value = -drop
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(signature_name="examples", label_key="label")],
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=each) for each in slices],
        metrics_specs=[spec],
    )


@pytest.fixture(scope="module")
def evaluate(model_artifact, tiny_models, clean_table, tmp_path_factory):
    """Function of an EvalConfig that runs the Evaluator on the tiny model against a baseline that answers otherwise."""
    baseline = standard_artifacts.Model()
    baseline.uri = str(tmp_path_factory.mktemp("baseline"))
    tiny_models.export(path_utils.serving_model_dir(baseline.uri), mean=60.0)

    def run(config):
        evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
        evaluation.uri = str(tmp_path_factory.mktemp("evaluation"))
        blessing.uri = str(tmp_path_factory.mktemp("blessing"))
        context = evaluator.Executor.Context(
            beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"], tmp_dir=evaluation.uri
        )
        evaluator.Executor(context).Do(
            {"examples": [clean_table[0]], "model": [model_artifact], "baseline_model": [baseline]},
            {"evaluation": [evaluation], "blessing": [blessing]},
            {
                "eval_config": json_format.MessageToJson(config),
                "example_splits": '["test"]',
                "fairness_indicator_thresholds": "null",
            },
        )
        return evaluation, blessing

    return run


@pytest.fixture(scope="module")
def right(tables):
    """Share of the test rows that the tiny model and the baseline tell right: they know no word, so age decides."""
    rows = tables.make_rows(100, 3)

    def share(older_than):
        said = [row["age"] is None or row["age"] > older_than for row in rows]
        return sum(yes == (row["label"] == "yes") for yes, row in zip(said, rows, strict=True)) / len(rows)

    return share(20), share(50)


@pytest.fixture(scope="module")
def passing(evaluate, right):
    """Just so."""
    ours, live = right
    return evaluate(eval_config(accuracy=(ours, None, live - ours + 1e-9), error=(None, 1 - ours, None)))


def test_passed_thresholds_are_told_with_value_and_limit(passing, right):
    evaluation, blessing = passing
    assert blessing.get_int_custom_property("blessed") == 1
    gates = {gate.name: gate for gate in quality_gates(evaluation.uri, True)}
    assert set(gates) == {"metric/accuracy", "metric/accuracy/vs_live", "metric/error", "metric/blessing"}
    assert all(gate.passed for gate in gates.values())
    accuracy = gates["metric/accuracy"]
    ours, live = right
    assert accuracy.value == accuracy.limit == ours
    assert accuracy.why == f"accuracy on the test split is {ours:.4f}; at least {ours:.4f} is asked for."
    assert gates["metric/error"].limit == 1 - ours
    change = gates["metric/accuracy/vs_live"]
    assert change.value == pytest.approx(ours - live)
    assert change.value != 0
    told = (
        f"changed by {ours - live:+.4f} against the live version's {live:.4f}; at least {ours - live:.4f} is asked for"
    )
    assert told in change.why


@pytest.mark.parametrize(
    ("version", "words"), [(0, "against its own (nothing is live yet) "), (7, "against version 7's ")]
)
def test_the_baseline_is_named(passing, version, words):
    gates = {gate.name: gate for gate in quality_gates(passing[0].uri, True, version)}
    assert words in gates["metric/accuracy/vs_live"].why


def test_a_metric_within_its_limits_does_not_pass_without_the_evaluators_blessing(passing):
    gates = {gate.name: gate for gate in quality_gates(passing[0].uri, False)}
    assert [name for name, gate in gates.items() if not gate.passed] == ["metric/blessing"]
    assert gates["metric/blessing"].why == "The Evaluator did not bless the model."


@pytest.fixture(scope="module")
def failing(evaluate, right):
    """Just not; and the change by far."""
    ours, _ = right
    config = eval_config(
        slices=((), ("department",)),
        accuracy=(ours + 1e-6, None, -1.0),
        error=(None, 1 - ours - 1e-6, None),
        recall_of_nobody=(0.5, None, None),
    )
    slicing = config.slicing_specs.add()
    slicing.feature_values["department"] = "Shoes"
    per_slice = config.metrics_specs[0].per_slice_thresholds["error"].thresholds.add()
    per_slice.slicing_specs.append(slicing)
    per_slice.threshold.value_threshold.lower_bound.value = 0.1
    return evaluate(config)


def test_failed_and_missing_ones_say_why(failing, right):
    evaluation, blessing = failing
    assert blessing.get_int_custom_property("blessed") == 0
    gates = {gate.name: gate for gate in quality_gates(evaluation.uri, False)}
    assert all("/department=" in name for name, gate in gates.items() if gate.passed), "a slice may have more"
    assert {"metric/accuracy", "metric/accuracy/vs_live", "metric/error"} <= set(gates)
    assert f"is {right[0]:.4f}; at least {right[0]:.4f} is asked for" in gates["metric/accuracy"].why
    assert "at least 1.0000 is asked for" in gates["metric/accuracy/vs_live"].why
    assert "accuracy on department=Tops is" in gates["metric/accuracy/department=Tops"].why
    assert gates["metric/recall_of_nobody"].why == (
        "recall_of_nobody was not measured on the test split; at least 0.5000 is asked for."
    )
    assert "No row of the test split is in the slice department=Shoes" in (
        gates["metric/missing_slice/department=Shoes"].why
    )


@pytest.mark.parametrize(("off", "severity"), [(-1e-6, "block"), (1e-6, "warn")])
def test_a_change_beyond_its_limit_blocks_only_beyond_doubt(failing, right, off, severity):
    spread = 1.0 - (right[0] - right[1]) + off
    noise = {"": {"accuracy": Noise(spread, spread, 500, 0.95)}}
    gates = {gate.name: gate for gate in quality_gates(failing[0].uri, False, 3, noise)}
    gate = gates["metric/accuracy/vs_live"]
    assert not gate.passed
    assert gate.severity == severity
    assert f"{gate.value - spread:+.4f} and {gate.value + spread:+.4f} (500 paired rows)" in gate.why
    assert gates["metric/accuracy"].blocks


def test_the_evaluators_verdict_only_warns_if_no_gate_behind_it_blocks(failing):
    names = ("accuracy", "error", "recall_of_nobody")
    gates = quality_gates(failing[0].uri, False, 3, {}, dict.fromkeys(names, "warn"))
    assert {gate.name for gate in gates if gate.blocks} == {
        "metric/missing_slice/department=Shoes", "metric/blessing",
    }  # fmt: skip


def test_no_threshold_no_pass(evaluate):
    evaluation, blessing = evaluate(eval_config())
    assert not blessing.has_custom_property("blessed")
    gates = {gate.name: gate for gate in quality_gates(evaluation.uri, False)}
    assert not gates["metric"].passed
    assert not gates["metric/blessing"].passed
    assert gates["metric"].why == "No metric was measured against a threshold; at least one is needed."


@pytest.fixture(scope="module")
def release(model_artifact, clean_table):
    """Function that runs ReleaseGate."""
    return lambda *arguments, **settings: run_release(clean_table[0], *arguments, **settings)


def run_release(examples, model, evaluation, model_blessing, directory, live=None, overrules=None, **limits):
    blessing, baseline = standard_artifacts.InfraBlessing(), standard_artifacts.Model()
    blessing.uri, baseline.uri = str(directory), (live or model).uri
    baseline.set_int_custom_property("version", 3)
    gates = {"sanity": {"severity": "warn"}, "rows": 100, **limits}
    features = {"review": "text", "age": "number", "department": "passthrough"}
    executor.Executor().Do(
        {
            "model": [model],
            "examples": [examples],
            "evaluation": [evaluation],
            "model_blessing": [model_blessing],
            "baseline_model": [baseline],
        },
        {"blessing": [blessing]},
        {
            "options": ReleaseGateOptions(gates=gates, features=features, slices=(("department",),)).model_dump_json(),
            "overrules": json.dumps(overrules or {}),
        },
    )
    return blessing


@pytest.fixture(scope="module")
def released(release, passing, model_artifact, tmp_path_factory):
    """What ReleaseGate says of a good model; not to be changed."""
    return release(model_artifact, *passing, tmp_path_factory.mktemp("released"))


def test_a_good_model_is_released(released):
    blessing = released
    blocking = [gate for gate in read_gates(blessing.uri) if gate.blocks]
    assert not blocking
    assert blessing.get_int_custom_property("blessed") == 1
    names = {gate.name for gate in read_gates(blessing.uri)}
    assert {"metric/accuracy", "serving/load", "serving/ops", "serving/explain"} <= names
    assert "against version 3's" in " ".join(gate.why for gate in read_gates(blessing.uri))
    assert {path.name for path in Path(blessing.uri).iterdir()} == {
        "gates.json", "metrics.json", "noise.json", "ops.json", "replay.json", "examples.json", "answers.json", "kept",
    }  # fmt: skip
    answers = AnswerRecord.read(Path(blessing.uri))
    assert answers.rows == sum(answers.heads["label"].labels.values()) == sum(answers.heads["label"].confidences) > 0
    assert answers.tokens > 0
    metrics = json.loads(Path(blessing.uri, "metrics.json").read_text())
    (gate,) = [gate for gate in read_gates(blessing.uri) if gate.name == "metric/accuracy"]
    assert metrics["accuracy"] == gate.value
    kept = json.loads(Path(blessing.uri, "kept", "kept.json").read_text())
    assert [(each["name"], len(each["first"]["label"]), each["trained"]) for each in kept] == [
        ("the test split", 100, [])
    ]
    assert np.mean(kept[0]["first"]["label"]) == pytest.approx(metrics["accuracy"])


def test_a_model_that_does_not_answer_is_not_released(model_artifact, clean_table, tmp_path):
    model = Path(path_utils.serving_model_dir(model_artifact.uri))
    files = sorted(map(str, Path(clean_table[0].uri, "Split-test").iterdir()))
    features, silent = (
        {"review": "text", "age": "number"},
        {"label": HeadOptions(), "mood": HeadOptions(prefix="mood/")},
    )

    def failed(test_files, **settings):
        candidate = Candidate(model, None, 0, test_files)
        verdict = judge(candidate, None, tmp_path, ReleaseGateOptions(features=features, **settings), process)
        return [gate for gate in verdict.gates if gate.name == "answers"]

    with fresh_process(model, tmp_path / "replay.json", 60) as process:
        assert failed(files) == []
        (mute,) = failed(files, heads=silent)
        (nothing,) = failed([])
        (asked,) = [each for each in psutil.Process().children() if any("replay" in part for part in each.cmdline())]
        asked.kill()
        (dead,) = failed(files)
    assert all(gate.blocks for gate in (mute, nothing, dead))
    assert mute.why == "The model does not answer `mood`."
    assert nothing.why == "The test split has no rows, so the model cannot be asked."
    assert re.match(r"The model could not be asked about \d+ rows of the test split: ", dead.why)


def test_what_the_live_version_knew_is_not_forgotten(release, passing, model_artifact, released, tiny_models, tmp_path):
    live, worse = standard_artifacts.Model(), standard_artifacts.Model()
    live.uri, worse.uri = str(tmp_path / "live"), str(tmp_path / "worse")
    shutil.copytree(model_artifact.uri, live.uri)
    folder = Path(path_utils.serving_model_path(live.uri))
    shutil.copytree(Path(released.uri, "kept"), folder / "assets.extra" / "release" / "kept")
    assert content_hash(folder) == content_hash(Path(path_utils.serving_model_path(model_artifact.uri)))
    tiny_models.export(path_utils.serving_model_dir(worse.uri), swap=True)
    blessing = release(worse, *passing, tmp_path / "blessing", live=live)
    (gate,) = [gate for gate in read_gates(blessing.uri) if gate.name.startswith("forgetting")]
    assert gate.name == "forgetting/the test split"
    assert gate.blocks
    accuracy = json.loads(Path(released.uri, "metrics.json").read_text())["accuracy"]
    assert f"was {accuracy:.4f} with version 3" in gate.why
    assert len(gate.rows) == 3
    assert "review=" in gate.rows[0]
    # All rows of the test split are kept already, so none is kept twice.
    kept = Path(blessing.uri, "kept")
    assert {path.name for path in kept.iterdir()} == {"kept.json", "1.tfrecord.gz"}
    listed = json.loads((kept / "kept.json").read_text())
    assert listed == json.loads(Path(released.uri, "kept", "kept.json").read_text())


def test_without_the_evaluators_blessing_it_is_not(release, passing, model_artifact, tmp_path):
    blessing = release(model_artifact, passing[0], standard_artifacts.ModelBlessing(), tmp_path / "blessing")
    assert blessing.get_int_custom_property("blessed") == 0
    assert [gate.name for gate in read_gates(blessing.uri) if gate.blocks] == ["metric/blessing"]


def test_what_a_person_overrules_no_longer_blocks_and_is_kept(release, failing, model_artifact, tmp_path):
    evaluation, model_blessing = failing
    gates = [gate for gate in quality_gates(evaluation.uri, False) if gate.name != "metric/blessing"]
    reasons = {gate.name: "the table changed on purpose" for gate in gates}
    blessing = release(model_artifact, evaluation, model_blessing, tmp_path / "blessing", overrules=reasons)
    assert blessing.get_int_custom_property("blessed") == 1
    kept = json.loads(blessing.get_string_custom_property("overruled"))
    assert kept["metric/accuracy"] == "the table changed on purpose"
    assert "the table changed on purpose" in kept["metric/blessing"]
    ruled = {gate.name: gate for gate in read_gates(blessing.uri)}
    assert not ruled["metric/accuracy"].passed
    (one, *others) = reasons
    fewer = {name: reasons[name] for name in others}
    blessing = release(model_artifact, evaluation, model_blessing, tmp_path / "fewer", overrules=fewer)
    assert blessing.get_int_custom_property("blessed") == 0
    assert {gate.name for gate in read_gates(blessing.uri) if gate.blocks} == {one, "metric/blessing"}
