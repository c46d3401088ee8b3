"""The nodes fit together, locally and on Kubeflow."""

import json

import pytest
from tfx.components import Evaluator, ExampleValidator, StatisticsGen
from tfx.dsl.compiler import compiler
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples, Model

from components.baseline_model.component import BaselineModel
from components.data_gate.component import DataGate
from components.pusher.component import Pusher
from components.release_gate.component import ReleaseGate
from components.schema_gen.component import SchemaGen

LABELS = {"label": "category"}


def build(tables, root):
    examples = Importer(source_uri=str(root), artifact_type=Examples).with_id("E")
    model = Importer(source_uri=str(root), artifact_type=Model).with_id("M")
    statistics = StatisticsGen(examples=examples.outputs["result"])
    schema = SchemaGen(statistics=statistics.outputs["statistics"], features=tables.features, labels=LABELS)
    anomalies = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    data_gate = DataGate(
        examples=examples.outputs["result"],
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=anomalies.outputs["anomalies"],
        labels=LABELS,
        serving_dir=str(root / "serving"),
        live_version=3,
    )
    with Cond(data_gate.outputs["blessing"].future()[0].custom_property("blessed") == 1):
        baseline = BaselineModel(str(root / "serving"), live_version=3, model=model.outputs["result"])
        evaluator = Evaluator(
            examples=examples.outputs["result"],
            model=model.outputs["result"],
            baseline_model=baseline.outputs["baseline_model"],
        )
        release_gate = ReleaseGate(
            model=model.outputs["result"],
            examples=examples.outputs["result"],
            evaluation=evaluator.outputs["evaluation"],
            model_blessing=evaluator.outputs["blessing"],
            baseline_model=baseline.outputs["baseline_model"],
        )
        with Cond(release_gate.outputs["blessing"].future()[0].custom_property("blessed") == 1):
            pusher = Pusher(
                model=model.outputs["result"],
                model_blessing=evaluator.outputs["blessing"],
                infra_blessing=release_gate.outputs["blessing"],
                statistics=statistics.outputs["statistics"],
                schema=schema.outputs["schema"],
                serving_dir=str(root / "serving"),
            )
    nodes = [examples, model, statistics, schema, anomalies, data_gate, baseline, evaluator, release_gate, pusher]
    return Pipeline(pipeline_name="piece", pipeline_root=str(root), components=nodes)


def test_compiles_for_a_local_run(tables, tmp_path):
    compiled = compiler.Compiler().compile(build(tables, tmp_path))
    nodes = {node.pipeline_node.node_info.id for node in compiled.nodes}
    assert {"SchemaGen", "DataGate", "BaselineModel", "ReleaseGate", "Pusher"} <= nodes


def test_compiles_for_kubeflow(tables, tmp_path):
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image="image"),
        output_dir=str(tmp_path),
        output_filename="piece.json",
    )
    runner.run(build(tables, tmp_path))
    spec = json.dumps(json.loads((tmp_path / "piece.json").read_text()))
    for name in (
        "components.data_gate.executor.Executor",
        "components.pusher.executor.Executor",
        "attention.DataBlessing",
    ):
        assert name in spec


@pytest.mark.parametrize("node", [DataGate, BaselineModel])
def test_a_negative_live_version_is_refused(node):
    names = {"model"} if node is BaselineModel else {"examples", "statistics", "schema", "anomalies", "labels"}
    with pytest.raises(ValueError, match="`live_version` must not be negative, but for AT_RUN_TIME. Received: -2"):
        node(**dict.fromkeys(names), serving_dir="serving", live_version=-2)


def test_no_features_are_refused():
    with pytest.raises(ValueError, match="`features` and `labels` must each name at least one. Received: none"):
        SchemaGen(statistics=None, features={}, labels=LABELS)
