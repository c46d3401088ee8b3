"""Writes `schema.pbtxt`."""

import json
import logging
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from typing_extensions import override

from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import make_schema

STATISTICS_KEY = "statistics"
FEATURES_KEY = "features"
LABELS_KEY = "labels"
OPTIONS_KEY = "options"
SCHEMA_KEY = "schema"
SCHEMA_FILE = "schema.pbtxt"

_logger = logging.getLogger("attention")


class Executor(base_executor.BaseExecutor):
    """Infers a schema from the train statistics and shapes it by the config."""

    @override
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads `statistics`, writes `schema`.

        Args:
            input_dict: `statistics`: one ExampleStatistics with a train split.
            output_dict: `schema`: one Schema.
            exec_properties: `features`, `labels` and `options`, all JSON.

        Raises:
            ValueError: a feature has no value in the train split.
        """
        statistics = artifact_utils.get_single_instance(input_dict[STATISTICS_KEY])
        train = stats_artifact_utils.load_statistics(statistics, "train").proto()
        labels = json.loads(exec_properties[LABELS_KEY])
        schema = make_schema(
            train,
            json.loads(exec_properties[FEATURES_KEY]),
            labels,
            ValidationOptions.model_validate_json(exec_properties[OPTIONS_KEY]),
        )
        uri = artifact_utils.get_single_uri(output_dict[SCHEMA_KEY])
        os.makedirs(uri, exist_ok=True)
        tfdv.write_schema_text(schema, os.path.join(uri, SCHEMA_FILE))
        _logger.info("SchemaGen %d features", len(schema.feature) - len(labels))
        for label in labels:
            classes = tfdv.get_feature(schema, label).string_domain.value
            _logger.info("SchemaGen label %s: %s", label, ", ".join(classes) or "a number")
