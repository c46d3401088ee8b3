"""The whole machine: which node feeds which. Wiring only."""

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

import tensorflow_data_validation as tfdv
from tfx.components import Evaluator, ExampleValidator, StatisticsGen, Trainer, Transform, Tuner
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.trainer_pb2 import EvalArgs, TrainArgs
from tfx.types.standard_artifacts import HyperParameters

from components.baseline_model.component import BaselineModel
from components.data_gate.component import DataGate
from components.example_gen.component import ExampleGen
from components.example_gen.files import matching_files
from components.example_gen.inputs import resolve_inputs
from components.pusher import versions
from components.pusher.component import Pusher
from components.release_gate.component import ReleaseGate
from components.schema_gen.component import SchemaGen
from models.search_space import TUNE_KEY
from models.spec import SPEC_KEY, BertOptions, ExplainOptions
from pipeline import assets, evaluation, spans
from pipeline.beam.arguments import pipeline_args
from pipeline.beam.choice import settle
from pipeline.beam.options import AnyBeam, AutoBeam, DirectBeam
from pipeline.config import PipelineConfig
from pipeline.tuning.found import IMPORTER, OUTPUTS, TUNER
from pipeline.workspace import Workspace

PREPROCESSING_FN = "models.preprocessing.preprocessing_fn"
RUN_FN = "models.trainer.run_fn"
TUNER_FN = "models.tuner.tuner_fn"
STATS_OPTIONS = tfdv.StatsOptions(use_sketch_based_topk_uniques=True)
"""Of a text's different values a sketch of fixed size is kept, not all of them: counts are exact up to 1,024 of them,
their number up to 16,384, and beyond that with a standard error of 0.8 %."""


def create_pipeline(
    config: PipelineConfig,
    workspace: Workspace,
    live_version: int = 0,
    metadata_connection_config=None,
    enable_cache: bool = True,
    conditional: bool = True,
    protected_versions: Collection[int] = (),
    at_run_time: bool = False,
    overrules: Mapping[str, str] | None = None,
    tune: bool = False,
    tuned_uri: str = "",
) -> Pipeline:
    """Wires the nodes.

    Args:
        config: what the run does.
        workspace: where it reads and writes.
        live_version: version that is served now, the baseline of every comparison; 0: none yet.
        metadata_connection_config: of ML Metadata; None where the orchestrator brings its own.
        enable_cache: whether a node whose inputs are those of an earlier run takes that run's outputs.
        conditional: whether the orchestrator holds back what stands behind a closed data gate. The local runner does
            that by itself: under `Cond` the gate's verdict is part of every cache key, so that each new live version
            would have an unchanged model trained again.
        protected_versions: versions with a label, which the Pusher never deletes.
        at_run_time: whether the pipeline is compiled once and run later, often and elsewhere: then each run looks up
            the newest version by itself, and the table need not be on this machine.
        overrules: gates that shall not block this run: name → reason.
        tune: whether the Trainer's options are searched first, as `config.tune` says.
        tuned_uri: where the best values of an earlier search lie, which the Trainer takes instead; empty: nowhere.

    Returns:
        The pipeline, for any TFX runner.
    """
    nodes: list[BaseNode] = []

    def add(node):
        nodes.append(node)
        return node.outputs

    if at_run_time:
        live_version = versions.AT_RUN_TIME
    config, digest = _with_local_preset(config)
    spec = config.model_spec(digest)
    serving_dir = str(workspace.serving(config.name))

    examples = add(_example_gen(config, workspace, must_exist=not at_run_time))["examples"]
    statistics = add(StatisticsGen(examples=examples, stats_options=STATS_OPTIONS))["statistics"]
    schema = add(_schema_gen(config, statistics, spec.label_types))["schema"]
    anomalies = add(ExampleValidator(statistics=statistics, schema=schema))["anomalies"]
    data_gate = DataGate(
        examples=examples,
        statistics=statistics,
        schema=schema,
        anomalies=anomalies,
        labels=spec.label_types,
        features={name: feature.type for name, feature in spec.inputs.items()},
        serving_dir=serving_dir,
        live_version=live_version,
        max_bad_ratio=config.data.max_bad_ratio,
        options=config.validation.model_dump_json(),
        overrules=overrules,
    )
    data_blessing = add(data_gate)["blessing"]

    is_blessed = data_blessing.future()[0].custom_property("blessed") == 1
    with Cond(is_blessed) if conditional else contextlib.nullcontext():
        transform_node = Transform(
            examples=examples,
            schema=schema,
            preprocessing_fn=PREPROCESSING_FN,
            custom_config={SPEC_KEY: config.preprocessing_spec(digest).model_dump_json()},
            # The Trainer applies the graph itself, as the served signatures do: only the graph is written.
            materialize=False,
            disable_statistics=True,
        )
        transform_node.add_upstream_node(data_gate)  # nothing flows between them, but the order counts
        transform = add(transform_node)
        start = None
        if config.train.warm_start == "latest_blessed":
            live_model = BaselineModel(serving_dir, live_version).with_id("LiveModel")
            live_model.add_upstream_node(transform_node)  # the runner looks at the data first
            start = add(live_model)["baseline_model"]
        reads = {
            "examples": examples,
            "transform_graph": transform["transform_graph"],
            "schema": schema,
            "base_model": start,
            "train_args": TrainArgs(splits=["train"]),
            "eval_args": EvalArgs(splits=["eval"]),
        }
        best_values = None
        if tune and config.tune is not None:
            search = {TUNE_KEY: config.tune.model_dump_json(), "search_dir": str(workspace.searches)}
            searched = spec.model_copy(update={"explain": ExplainOptions()})  # no trial is any better for it
            tuner = Tuner(**reads, tuner_fn=TUNER_FN, custom_config={SPEC_KEY: searched.model_dump_json(), **search})
            best_values = add(tuner)[OUTPUTS[TUNER]]
        elif tuned_uri:
            # The very artifact of the search, so that the Trainer's cache key is the same.
            importer = Importer(tuned_uri, HyperParameters, reimport=False)
            importer.with_id(IMPORTER).add_upstream_node(transform_node)
            best_values = add(importer)[OUTPUTS[IMPORTER]]
        trainer = add(
            Trainer(
                **reads,
                hyperparameters=best_values,
                run_fn=RUN_FN,
                custom_config={SPEC_KEY: spec.model_dump_json(), "checkpoint_dir": str(workspace.checkpoints)},
            )
        )
        model = trainer["model"]
        baseline = add(BaselineModel(serving_dir, live_version, model))["baseline_model"]
        evaluator = add(
            Evaluator(
                examples=examples,
                example_splits=["test"],
                model=model,
                baseline_model=baseline,
                eval_config=evaluation.eval_config(config.evaluation, config.heads),
            )
        )
        release = add(
            ReleaseGate(
                model=model,
                examples=examples,
                evaluation=evaluator["evaluation"],
                model_blessing=evaluator["blessing"],
                baseline_model=baseline,
                model_run=trainer["model_run"],
                options=evaluation.release_gate_options(config.evaluation, spec),
                overrules=overrules,
            )
        )
        add(
            Pusher(
                model=model,
                model_blessing=evaluator["blessing"],
                infra_blessing=release["blessing"],
                data_blessing=data_blessing,
                statistics=statistics,
                schema=schema,
                serving_dir=serving_dir,
                keep_versions=config.push.keep_versions,
                protected_versions=protected_versions,
            )
        )

    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(workspace.artifacts),
        components=nodes,
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=pipeline_args(_settled_beam(config, at_run_time)),
    )


def _example_gen(config: PipelineConfig, workspace: Workspace, must_exist: bool) -> BaseNode:
    input_base, patterns = resolve_inputs(spans.with_files(config).data.input, must_exist)
    return ExampleGen(
        input_base=input_base, inputs=patterns, options=config.example_gen_options(str(workspace.quarantine))
    )


def _settled_beam(config: PipelineConfig, at_run_time: bool) -> AnyBeam:
    """The runner; where the table is not seen yet, `auto` is in memory."""
    if not isinstance(config.beam, AutoBeam):
        return config.beam
    if at_run_time:
        return DirectBeam()
    base, patterns = resolve_inputs(spans.with_files(config).data.input)
    return settle(config.beam, [path for _, each in patterns for path in matching_files(f"{base}/{each}")])


def _with_local_preset(config: PipelineConfig) -> tuple[PipelineConfig, str]:
    """Fetches the preset of a BERT, and takes its digest, so that other weights make every cached step a new one."""
    if not isinstance(config.model, BertOptions):
        return config, ""
    preset = assets.resolve(config.model.preset)
    model = config.model.model_copy(update={"preset": preset})
    return config.model_copy(update={"model": model}), assets.digest(preset)


def _schema_gen(config: PipelineConfig, statistics, labels: dict[str, str]) -> BaseNode:
    if config.schema_file:
        return ImportSchemaGen(schema_file=str(Path(config.schema_file).absolute()))
    features = {name: feature.model_dump(mode="json") for name, feature in config.features.items()}
    return SchemaGen(statistics=statistics, features=features, labels=labels, options=config.validation)
