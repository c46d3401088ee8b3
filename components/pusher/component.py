"""Pusher: a blessed model → a version that TF Serving picks up."""

import json
from collections.abc import Collection

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, OutputChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import DataBlessing
from components.pusher import executor
from components.pusher.install import MIN_KEPT_VERSIONS


class PusherSpec(ComponentSpec):
    """Inputs, outputs and execution properties of Pusher."""

    PARAMETERS = {
        executor.SERVING_DIR_KEY: ExecutionParameter(type=str),
        executor.KEEP_VERSIONS_KEY: ExecutionParameter(type=int),
        executor.PROTECTED_VERSIONS_KEY: ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        executor.MODEL_KEY: ChannelParameter(type=standard_artifacts.Model),
        executor.MODEL_BLESSING_KEY: ChannelParameter(type=standard_artifacts.ModelBlessing),
        executor.INFRA_BLESSING_KEY: ChannelParameter(type=standard_artifacts.InfraBlessing),
        executor.STATISTICS_KEY: ChannelParameter(type=standard_artifacts.ExampleStatistics),
        executor.SCHEMA_KEY: ChannelParameter(type=standard_artifacts.Schema),
        executor.DATA_BLESSING_KEY: ChannelParameter(type=DataBlessing, optional=True),
    }
    OUTPUTS = {executor.PUSHED_MODEL_KEY: ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Pushes a model that both blessings allow and whose content is not the live version's."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: BaseChannel,
        model_blessing: BaseChannel | None,
        infra_blessing: BaseChannel | None,
        statistics: BaseChannel,
        schema: BaseChannel,
        serving_dir: str,
        keep_versions: int = 5,
        protected_versions: Collection[int] = (),
        data_blessing: BaseChannel | None = None,
    ):
        """Builds the node.

        Args:
            model: the candidate.
            model_blessing: the Evaluator's.
            infra_blessing: the ReleaseGate's.
            statistics: of the splits the model was made from; travels with the version.
            schema: of the same; travels with the version.
            serving_dir: base path of the served model's versions.
            keep_versions: newest versions of ours that are kept.
            protected_versions: those that servers name by a label; never deleted.
            data_blessing: the DataGate's; what it found of the texts, and what was overruled, travel with the version.

        Raises:
            ValueError: a blessing is missing, or `keep_versions` would delete the live version or the one before it.
        """
        for name, blessing in (("model_blessing", model_blessing), ("infra_blessing", infra_blessing)):
            if blessing is None:
                raise ValueError(f"`{name}` must be given: nothing is pushed without both blessings. Received: None.")
        if keep_versions < MIN_KEPT_VERSIONS:
            raise ValueError(
                f"`keep_versions` must be at least {MIN_KEPT_VERSIONS}: the pushed version and the one before it. "
                f"Received: {keep_versions}."
            )
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            statistics=statistics,
            schema=schema,
            data_blessing=data_blessing,
            serving_dir=serving_dir,
            keep_versions=keep_versions,
            protected_versions=json.dumps(sorted(protected_versions)),
            pushed_model=OutputChannel(standard_artifacts.PushedModel, self, executor.PUSHED_MODEL_KEY),
        )
        super().__init__(spec=spec)
