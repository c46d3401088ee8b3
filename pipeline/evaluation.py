"""Gates of the config → the `EvalConfig` that TFX's Evaluator blesses by."""

import json
from collections.abc import Mapping

import tensorflow_model_analysis.proto.config_pb2 as tfma

from components.evaluator import head_report
from components.release_gate.options import SIGNATURES, HeadOptions, ModelGates, ReleaseGateOptions
from models.spec import AnyHead, ModelSpec, MultiLabelHead, of_head
from pipeline.config_groups import EvaluationConfig, MetricGate
from pipeline.synonyms import read_synonyms

SIGNATURE = "examples"


def eval_config(evaluation: EvaluationConfig, heads: Mapping[str, AnyHead]) -> tfma.EvalConfig:
    """Makes the Evaluator's config; every gate becomes a threshold, overall.

    Args:
        evaluation: slices and gates of the pipeline's config.
        heads: what the model predicts; each is measured.

    Returns:
        An EvalConfig that evaluates the served signature `examples`.
    """
    metrics = tfma.MetricsSpec(
        metrics=[_report(name, head) for name, head in heads.items()],
        per_slice_thresholds={name: _overall(gate) for name, gate in evaluation.gates.items()},
    )
    slices = [tfma.SlicingSpec()]
    for each in _slices(evaluation):
        slices.append(tfma.SlicingSpec(feature_keys=each))
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name=SIGNATURE, label_key=next(iter(heads)))],
        slicing_specs=slices,
        metrics_specs=[metrics],
    )


def release_gate_options(evaluation: EvaluationConfig, spec: ModelSpec) -> ReleaseGateOptions:
    """What the ReleaseGate is told.

    Args:
        evaluation: of the pipeline's config.
        spec: its features and heads.

    Raises:
        ConfigError: the file of synonyms cannot be used.
    """
    return ReleaseGateOptions(
        signatures=(*SIGNATURES, *(("embed",) if spec.embedding_head else ()), *spec.signatures),
        gates=ModelGates.model_validate(evaluation.model_dump(include=set(ModelGates.model_fields))),
        heads={
            name: HeadOptions(type=head.type, prefix=of_head(name, ""), threshold=getattr(head, "threshold", 0.5))
            for name, head in spec.heads.items()
        },
        features={name: feature.type for name, feature in spec.features.items()},
        slices=tuple(tuple(each) for each in _slices(evaluation)),
        synonyms=read_synonyms(evaluation.robustness.synonyms),
        slice_limits={name: gate.slices for name, gate in evaluation.gates.items() if gate.slices is not None},
        metric_severities={name: gate.severity for name, gate in evaluation.gates.items()},
    )


def _slices(evaluation: EvaluationConfig) -> list[list[str]]:
    """All slices, those of the fairness gates too, each as a list of features."""
    slices = [[each] if isinstance(each, str) else each for each in evaluation.slices]
    return slices + [[each] for each in evaluation.fairness.columns or [] if [each] not in slices]


def _report(name: str, head: AnyHead) -> tfma.MetricConfig:
    options: dict[str, str | float] = {"head": name, "head_type": head.type, "prefix": of_head(name, "")}
    if isinstance(head, MultiLabelHead):
        options["threshold"] = head.threshold
    return tfma.MetricConfig(
        class_name="HeadReport",
        module=head_report.__name__,
        config=json.dumps({**options, "name": of_head(name, head_report.NAME)}),
    )


def _overall(gate: MetricGate) -> tfma.PerSliceMetricThresholds:
    """A gate holds for the whole split; without a slice's name TFMA would hold every slice to it."""
    threshold = tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=_threshold(gate))
    return tfma.PerSliceMetricThresholds(thresholds=[threshold])


def _threshold(gate: MetricGate) -> tfma.MetricThreshold:
    threshold = tfma.MetricThreshold()
    if gate.min is not None:
        threshold.value_threshold.lower_bound.value = gate.min
    if gate.max is not None:
        threshold.value_threshold.upper_bound.value = gate.max
    if gate.max_drop is not None:
        threshold.change_threshold.direction = tfma.MetricDirection.HIGHER_IS_BETTER
        threshold.change_threshold.absolute.value = -gate.max_drop
    if gate.max_rise is not None:
        threshold.change_threshold.direction = tfma.MetricDirection.LOWER_IS_BETTER
        threshold.change_threshold.absolute.value = gate.max_rise
    return threshold
