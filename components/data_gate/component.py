"""DataGate: statistics, schema and anomalies → a blessing of the data, or not."""

import json
from collections.abc import Mapping

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, OutputChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import DataBlessing
from components.data_gate import executor
from components.pusher import versions
from components.schema_gen.options import ValidationOptions


class DataGateSpec(ComponentSpec):
    """Inputs, outputs and execution properties of DataGate."""

    PARAMETERS = {
        executor.SERVING_DIR_KEY: ExecutionParameter(type=str),
        executor.LIVE_VERSION_KEY: ExecutionParameter(type=int),
        executor.MAX_BAD_RATIO_KEY: ExecutionParameter(type=float),
        executor.LABELS_KEY: ExecutionParameter(type=str),
        executor.FEATURES_KEY: ExecutionParameter(type=str),
        executor.OPTIONS_KEY: ExecutionParameter(type=str),
        executor.OVERRULES_KEY: ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        executor.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples),
        executor.STATISTICS_KEY: ChannelParameter(type=standard_artifacts.ExampleStatistics),
        executor.SCHEMA_KEY: ChannelParameter(type=standard_artifacts.Schema),
        executor.ANOMALIES_KEY: ChannelParameter(type=standard_artifacts.ExampleAnomalies),
    }
    OUTPUTS = {executor.BLESSING_KEY: ChannelParameter(type=DataBlessing)}


class DataGate(base_component.BaseComponent):
    """Says whether the data may be trained on; put what follows under `Cond(… custom_property('blessed') == 1)`."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: BaseChannel,
        statistics: BaseChannel,
        schema: BaseChannel,
        anomalies: BaseChannel,
        labels: Mapping[str, str],
        serving_dir: str,
        live_version: int = 0,
        max_bad_ratio: float = 0.01,
        options: ValidationOptions | str | None = None,
        features: Mapping[str, str] | None = None,
        overrules: Mapping[str, str] | None = None,
    ):
        """Builds the node.

        Args:
            examples: what the statistics were made of; offending rows are shown from it.
            statistics: of all splits.
            schema: what the examples are held to.
            anomalies: ExampleValidator's.
            labels: label name → `category`, `categories` or `number`.
            serving_dir: base path of the served model's versions.
            live_version: version whose statistics drift is measured against; 0: none yet; `versions.AT_RUN_TIME`: the
                newest one then.
            max_bad_ratio: greatest share of rows that ExampleGen may have put into quarantine.
            options: limits and severities, or their JSON.
            features: what the model reads: name → `text`, `category` or `number`; default: all that the schema names,
                each by what it says of it.
            overrules: gates that shall not block this once: name → reason.

        Raises:
            ValueError: `live_version` is negative, or `options` is not valid.
        """
        versions.check_live_version(live_version)
        if isinstance(options, str):
            options = ValidationOptions.model_validate_json(options)
        spec = DataGateSpec(
            examples=examples,
            statistics=statistics,
            schema=schema,
            anomalies=anomalies,
            labels=json.dumps(labels, sort_keys=True),
            features=json.dumps(features or {}),
            overrules=json.dumps(overrules, sort_keys=True) if overrules else None,
            serving_dir=serving_dir,
            live_version=live_version,
            max_bad_ratio=max_bad_ratio,
            options=(options or ValidationOptions()).model_dump_json(),
            blessing=OutputChannel(DataBlessing, self, executor.BLESSING_KEY),
        )
        super().__init__(spec=spec)
