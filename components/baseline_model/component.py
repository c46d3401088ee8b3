"""BaselineModel: the live version as a Model artifact, for the Evaluator to compare with."""

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, OutputChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.baseline_model import executor
from components.pusher import versions


class BaselineModelSpec(ComponentSpec):
    """Inputs, outputs and execution properties of BaselineModel."""

    PARAMETERS = {
        executor.SERVING_DIR_KEY: ExecutionParameter(type=str),
        executor.LIVE_VERSION_KEY: ExecutionParameter(type=int),
    }
    INPUTS = {executor.MODEL_KEY: ChannelParameter(type=standard_artifacts.Model, optional=True)}
    OUTPUTS = {executor.BASELINE_MODEL_KEY: ChannelParameter(type=standard_artifacts.Model)}


class BaselineModel(base_component.BaseComponent):
    """Finds what the candidate is compared with: the live version or, where nothing is live, the candidate itself.

    The Evaluator drops change thresholds in silence where it has no baseline. With this node it always has one, and
    a first model is compared with itself, which any change threshold that allows no change lets pass.

    Without a candidate it is what a training may start from; where nothing is live, that is an empty artifact.
    """

    SPEC_CLASS = BaselineModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, serving_dir: str, live_version: int = 0, model: BaseChannel | None = None):
        """Builds the node.

        Args:
            serving_dir: base path of the served model's versions.
            live_version: the version to compare with; 0: none yet; `versions.AT_RUN_TIME`: the newest one then.
            model: the candidate, if there is one already.

        Raises:
            ValueError: `live_version` is negative.
        """
        versions.check_live_version(live_version)
        spec = BaselineModelSpec(
            model=model,
            serving_dir=serving_dir,
            live_version=live_version,
            baseline_model=OutputChannel(standard_artifacts.Model, self, executor.BASELINE_MODEL_KEY),
        )
        super().__init__(spec=spec)
