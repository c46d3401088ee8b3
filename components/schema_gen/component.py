"""SchemaGen: statistics and the config's types → schema."""

import json
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, OutputChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.schema_gen import executor
from components.schema_gen.options import ValidationOptions


class SchemaGenSpec(ComponentSpec):
    """Inputs, outputs and execution properties of SchemaGen."""

    PARAMETERS = {
        executor.FEATURES_KEY: ExecutionParameter(type=str),
        executor.LABELS_KEY: ExecutionParameter(type=str),
        executor.OPTIONS_KEY: ExecutionParameter(type=str),
    }
    INPUTS = {executor.STATISTICS_KEY: ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {executor.SCHEMA_KEY: ChannelParameter(type=standard_artifacts.Schema)}


class SchemaGen(base_component.BaseComponent):
    """Infers the schema of the examples from their train split and holds it to the config's types."""

    SPEC_CLASS = SchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        statistics: BaseChannel,
        features: Mapping[str, Any],
        labels: Mapping[str, str],
        options: ValidationOptions | None = None,
    ):
        """Builds the node.

        Args:
            statistics: of all splits; `train` must be among them.
            features: feature name → its settings, as JSON has them; `type` and `required` are read.
            labels: label name → `category`, `categories` or `number`.
            options: limits that become part of the schema.

        Raises:
            ValueError: `features` or `labels` is empty.
        """
        if not features or not labels:
            raise ValueError("`features` and `labels` must each name at least one. Received: none.")
        spec = SchemaGenSpec(
            statistics=statistics,
            features=json.dumps(features, sort_keys=True),
            labels=json.dumps(labels, sort_keys=True),
            options=(options or ValidationOptions()).model_dump_json(),
            schema=OutputChannel(standard_artifacts.Schema, self, executor.SCHEMA_KEY),
        )
        super().__init__(spec=spec)
