"""ReleaseGate: model and evaluation → a blessing of what would be served, or not."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, OutputChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.release_gate import executor
from components.release_gate.options import ReleaseGateOptions


class ReleaseGateSpec(ComponentSpec):
    """Inputs, outputs and execution properties of ReleaseGate."""

    PARAMETERS = {executor.OPTIONS_KEY: ExecutionParameter(type=str)}
    INPUTS = {
        executor.MODEL_KEY: ChannelParameter(type=standard_artifacts.Model),
        executor.EVALUATION_KEY: ChannelParameter(type=standard_artifacts.ModelEvaluation),
        executor.MODEL_BLESSING_KEY: ChannelParameter(type=standard_artifacts.ModelBlessing),
        executor.BASELINE_MODEL_KEY: ChannelParameter(type=standard_artifacts.Model, optional=True),
        executor.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = {executor.BLESSING_KEY: ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ReleaseGate(base_component.BaseComponent):
    """Replays recorded requests in a fresh process and puts numbers to the Evaluator's verdict."""

    SPEC_CLASS = ReleaseGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: BaseChannel,
        evaluation: BaseChannel,
        model_blessing: BaseChannel,
        baseline_model: BaseChannel | None = None,
        examples: BaseChannel | None = None,
        options: ReleaseGateOptions | str | None = None,
    ):
        """Builds the node.

        Args:
            model: the candidate; brings its recorded requests in `assets.extra/tf_serving_warmup_requests`.
            evaluation: the Evaluator's, with its thresholds.
            model_blessing: the Evaluator's.
            baseline_model: BaselineModel's; with it the gates name the version they compare with.
            examples: of their split `test` a few rows are explained in `examples.json`.
            options: limits, or their JSON.

        Raises:
            ValueError: `options` is not valid.
        """
        if isinstance(options, str):
            options = ReleaseGateOptions.model_validate_json(options)
        spec = ReleaseGateSpec(
            model=model,
            evaluation=evaluation,
            model_blessing=model_blessing,
            baseline_model=baseline_model,
            examples=examples,
            options=(options or ReleaseGateOptions()).model_dump_json(),
            blessing=OutputChannel(standard_artifacts.InfraBlessing, self, executor.BLESSING_KEY),
        )
        super().__init__(spec=spec)
