"""The wiring, as TFX's compiler sees it."""

import subprocess
import sys

import pytest
from tfx.dsl.compiler import compiler

from components.pusher.versions import AT_RUN_TIME
from pipeline.config import override, parse
from pipeline.dag import create_pipeline
from pipeline.evaluation import eval_config
from pipeline.workspace import Workspace

CONFIG = {
    "name": "mood",
    "data": {"input": "", "label": "mood"},
    "features": {"review": "text", "shop": "category"},
    "evaluation": {
        "slices": ["shop", ["shop", "label"]],
        "gates": {"accuracy": {"min": 0.6, "max_drop": 0.02}, "log_loss": {"max": 1, "max_rise": 0.1}},
    },
}
NODES = [
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Trainer",
    "BaselineModel",
    "Evaluator",
    "ReleaseGate",
    "Pusher",
]


@pytest.fixture
def compiled(tmp_path):
    """Function of settings and arguments of `create_pipeline` that gives node → its compiled form."""
    table = tmp_path / "mood.csv"
    table.write_text("review,shop,mood\nfine,north,1\n", encoding="utf-8")

    def compile_with(*settings, **arguments):
        config = parse(override(CONFIG, [f"data.input={table}", *settings]))
        pipeline = create_pipeline(config, Workspace(tmp_path / "workspace"), **arguments)
        nodes = [node.pipeline_node for node in compiler.Compiler().compile(pipeline).nodes]
        return {node.node_info.id: node for node in nodes}

    return compile_with


def test_every_node_stands_in_its_place(compiled):
    nodes = compiled()
    assert sorted(nodes) == sorted(NODES)
    order = list(nodes)
    for node in nodes.values():
        assert all(order.index(upstream) < order.index(node.node_info.id) for upstream in node.upstream_nodes)
    for node, upstream in (
        ("Trainer", "Transform"),
        ("Evaluator", "BaselineModel"),
        ("ReleaseGate", "Evaluator"),
        ("Pusher", "Evaluator"),
        ("Pusher", "ReleaseGate"),
    ):
        assert upstream in nodes[node].upstream_nodes


def test_a_warm_start_reads_the_live_version_once_the_data_are_known(compiled):
    nodes = compiled("train.warm_start=latest_blessed")
    assert "Transform" in nodes["LiveModel"].upstream_nodes
    (channel,) = nodes["Trainer"].inputs.inputs["base_model"].channels
    assert channel.producer_node_query.id == "LiveModel"
    assert "base_model" not in compiled()["Trainer"].inputs.inputs


def test_the_trainer_takes_what_a_search_found_now_or_before(compiled):
    space = "tune.space.train.learning_rate=[0.001, 0.01]"
    own = compiled(space)
    assert sorted(own) == sorted(NODES)
    assert "hyperparameters" not in own["Trainer"].inputs.inputs
    searching = compiled(space, tune=True)
    found = compiled(space, tuned_uri="/artifacts/Tuner/best_hyperparameters/7")
    assert "Transform" in found["TunedValues"].upstream_nodes
    for nodes, producer in ((searching, "Tuner"), (found, "TunedValues")):
        assert sorted(nodes) == sorted([*NODES, producer])
        (channel,) = nodes["Trainer"].inputs.inputs["hyperparameters"].channels
        assert channel.producer_node_query.id == producer
        assert nodes["Trainer"].parameters == own["Trainer"].parameters
    warm = compiled(space, "train.warm_start=latest_blessed", tune=True)
    assert warm["Tuner"].inputs.inputs["base_model"].channels[0].producer_node_query.id == "LiveModel"


def test_nothing_behind_a_closed_data_gate_runs_on_any_orchestrator(compiled):
    nodes = compiled(conditional=True)
    behind = {name for name, node in nodes.items() if node.inputs.conditionals}
    assert behind == set(NODES[NODES.index("Transform") :])


def test_the_local_runner_keeps_the_verdict_out_of_cache_keys(compiled):
    nodes = compiled(conditional=False)
    assert "DataGate" in nodes["Transform"].upstream_nodes  # for the order alone
    assert not any("DataGate" in name for name in nodes["Transform"].inputs.inputs)
    assert not any(node.inputs.conditionals for node in nodes.values())


def test_a_pipeline_compiled_for_later_needs_neither_a_version_nor_the_table(compiled):
    nodes = compiled("data.input=/elsewhere/mood.csv", at_run_time=True)
    for name in ("DataGate", "BaselineModel"):
        assert nodes[name].parameters.parameters["live_version"].field_value.int_value == AT_RUN_TIME
    assert nodes["ExampleGen"].parameters.parameters["input_base"].field_value.string_value == "/elsewhere"


def test_training_options_leave_transform_as_it_was(compiled):
    def transform(*settings):
        return compiled(*settings)["Transform"].parameters.SerializeToString(deterministic=True)

    assert transform("train.epochs=3") == transform("model.num_layers=2") == transform()
    assert transform("explain.rollout=true") == transform()
    assert transform("text.vocabulary_size=500") != transform()


def test_other_weights_of_a_preset_are_another_transform_and_another_training(compiled, tmp_path):
    def parameters(content):
        (tmp_path / "preset").mkdir(exist_ok=True)
        (tmp_path / "preset" / "model.safetensors").write_bytes(content)
        nodes = compiled("model.encoder=bert", f"model.preset={tmp_path / 'preset'}")
        return [nodes[name].parameters.SerializeToString(deterministic=True) for name in ("Transform", "Trainer")]

    before = parameters(b"1")
    assert parameters(b"1") == before
    assert all(left != right for left, right in zip(parameters(b"2"), before, strict=True))


def test_a_curated_schema_takes_the_place_of_the_inferred(compiled, tmp_path):
    curated = tmp_path / "schema.pbtxt"
    curated.touch()
    nodes = compiled(f"schema_file={curated}")
    assert "ImportSchemaGen" in nodes
    assert "SchemaGen" not in nodes


def test_gates_become_thresholds_of_the_whole_split():
    parsed = parse(override(CONFIG, ["data.input=mood.csv"]))
    config = eval_config(parsed.evaluation, parsed.heads)
    assert config.model_specs[0].signature_name == "examples"
    (metrics,) = config.metrics_specs
    (accuracy,) = metrics.per_slice_thresholds["accuracy"].thresholds
    assert [list(each.feature_keys) for each in accuracy.slicing_specs] == [[]]
    assert accuracy.threshold.value_threshold.lower_bound.value == 0.6
    assert accuracy.threshold.change_threshold.absolute.value == -0.02
    (log_loss,) = metrics.per_slice_thresholds["log_loss"].thresholds
    assert log_loss.threshold.value_threshold.upper_bound.value == 1
    assert log_loss.threshold.change_threshold.absolute.value == 0.1
    assert [list(each.feature_keys) for each in config.slicing_specs] == [[], ["shop"], ["shop", "label"]]


def test_wiring_imports_no_cloud():
    # `tfx.v1` brings Vertex AI's client along: 6 s of processor time and 160 MB for every process that runs a step.
    code = "import sys, pipeline.dag; sys.exit('google.cloud.aiplatform' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0
