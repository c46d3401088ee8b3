"""ReleaseGate: model and evaluation → a blessing of what would be served, or not."""

import json
from collections.abc import Mapping

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, OutputChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.release_gate import executor
from components.release_gate.options import ReleaseGateOptions


class ReleaseGateSpec(ComponentSpec):
    """Inputs, outputs and execution properties of ReleaseGate."""

    PARAMETERS = {
        executor.OPTIONS_KEY: ExecutionParameter(type=str),
        executor.OVERRULES_KEY: ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        executor.MODEL_KEY: ChannelParameter(type=standard_artifacts.Model),
        executor.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples),
        executor.EVALUATION_KEY: ChannelParameter(type=standard_artifacts.ModelEvaluation),
        executor.MODEL_BLESSING_KEY: ChannelParameter(type=standard_artifacts.ModelBlessing),
        executor.BASELINE_MODEL_KEY: ChannelParameter(type=standard_artifacts.Model, optional=True),
        executor.MODEL_RUN_KEY: ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
    }
    OUTPUTS = {executor.BLESSING_KEY: ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ReleaseGate(base_component.BaseComponent):
    """Asks the model in a fresh process: recorded requests, rows of the test split; puts numbers to all verdicts."""

    SPEC_CLASS = ReleaseGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: BaseChannel,
        examples: BaseChannel,
        evaluation: BaseChannel,
        model_blessing: BaseChannel,
        baseline_model: BaseChannel | None = None,
        model_run: BaseChannel | None = None,
        options: ReleaseGateOptions | str | None = None,
        overrules: Mapping[str, str] | None = None,
    ):
        """Builds the node.

        Args:
            model: the candidate; brings its recorded requests in `assets.extra/tf_serving_warmup_requests`.
            examples: rows of the split `test` are asked.
            evaluation: the Evaluator's, with its thresholds.
            model_blessing: the Evaluator's.
            baseline_model: BaselineModel's; with it the gates name the version they compare with.
            model_run: the Trainer's, with its curve.
            options: limits, or their JSON.
            overrules: gates that shall not block this once: name → reason.

        Raises:
            ValueError: `options` is not valid.
        """
        if isinstance(options, str):
            options = ReleaseGateOptions.model_validate_json(options)
        spec = ReleaseGateSpec(
            model=model,
            examples=examples,
            evaluation=evaluation,
            model_blessing=model_blessing,
            baseline_model=baseline_model,
            model_run=model_run,
            options=(options or ReleaseGateOptions()).model_dump_json(),
            overrules=json.dumps(overrules, sort_keys=True) if overrules else None,
            blessing=OutputChannel(standard_artifacts.InfraBlessing, self, executor.BLESSING_KEY),
        )
        super().__init__(spec=spec)
