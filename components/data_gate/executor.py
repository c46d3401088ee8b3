"""Collects the verdicts on the data and publishes them."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import types
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME as ANOMALIES_FILE
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils
from typing_extensions import override

from components.data_gate import distances, report, rows
from components.data_gate.findings import Finding, domain, find
from components.data_gate.row_gates import row_gates
from components.gates import Gate, overrule, publish_gates
from components.pusher import versions
from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import add_comparators

EXAMPLES_KEY = "examples"
STATISTICS_KEY = "statistics"
SCHEMA_KEY = "schema"
ANOMALIES_KEY = "anomalies"
SERVING_DIR_KEY = "serving_dir"
LIVE_VERSION_KEY = "live_version"
MAX_BAD_RATIO_KEY = "max_bad_ratio"
LABELS_KEY = "labels"
FEATURES_KEY = "features"
OPTIONS_KEY = "options"
OVERRULES_KEY = "overrules"
BLESSING_KEY = "blessing"
TRAIN = "train"

_logger = logging.getLogger("attention")


class Executor(base_executor.BaseExecutor):
    """Schema, rows, drift and skew: each a gate. A failed gate is a verdict, not an exception."""

    @override
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `gates.json`, `report.txt` and `text_profile.json`, and blesses the data if no gate blocks.

        Args:
            input_dict: `examples`, `statistics`, `schema`, `anomalies`: one artifact each.
            output_dict: `blessing`: one DataBlessing.
            exec_properties: `labels` (JSON), `features` (JSON), `serving_dir`, `live_version`, `max_bad_ratio`,
                `options` (JSON), `overrules` (JSON).
        """
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
        anomalies = artifact_utils.get_single_instance(input_dict[ANOMALIES_KEY])
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        options = ValidationOptions.model_validate_json(exec_properties[OPTIONS_KEY])
        statistics = _statistics(artifact_utils.get_single_instance(input_dict[STATISTICS_KEY]))
        schema_uri = artifact_utils.get_single_uri(input_dict[SCHEMA_KEY])
        schema = tfdv.load_schema_text(io_utils.get_only_uri_in_dir(schema_uri))
        labels = json.loads(exec_properties[LABELS_KEY])
        add_comparators(schema, {}, labels, options)

        gates: list[Gate] = []
        findings: list[Finding] = []
        for split, of_split in statistics.items():
            found = find(split, _anomalies(anomalies, split), schema, of_split, _files(examples, split))
            findings += found
            gates.append(_schema_gate(split, found, of_split, options))
        counted = report.counters(examples)
        gates += rows.bad_ratio_gates(counted, exec_properties[MAX_BAD_RATIO_KEY], options.severity.rows)
        gates += rows.gates(statistics, schema, labels, options)
        gates += self._distances(statistics, schema, exec_properties, options)
        features = json.loads(exec_properties[FEATURES_KEY]) or _types(schema, labels)
        files = {split: _files(examples, split) for split in statistics}
        live = versions.live_version(exec_properties[SERVING_DIR_KEY], exec_properties[LIVE_VERSION_KEY])
        profile = versions.text_profile(exec_properties[SERVING_DIR_KEY], live) if live else None
        os.makedirs(blessing.uri, exist_ok=True)
        gates += row_gates(files, features, labels, Path(blessing.uri), profile, live, options)

        gates = overrule(gates, json.loads(exec_properties.get(OVERRULES_KEY) or "{}"))
        blessed = publish_gates(blessing, gates)
        text = report.render(gates, findings, counted)
        Path(blessing.uri, report.REPORT_FILE).write_text(text, encoding="utf-8")
        failed = [gate.name for gate in gates if not gate.passed]
        _logger.info(
            "DataGate %s: %d of %d gates passed%s",
            "passed" if blessed else "blocked",
            len(gates) - len(failed),
            len(gates),
            f"; failed: {', '.join(failed)}" if failed else "",
        )

    def _distances(
        self,
        statistics: dict[str, statistics_pb2.DatasetFeatureStatisticsList],
        schema: schema_pb2.Schema,
        exec_properties: dict[str, Any],
        options: ValidationOptions,
    ) -> list[Gate]:
        train = statistics[TRAIN]
        others = {split: of_split for split, of_split in statistics.items() if split != TRAIN}
        gates = distances.skew_gates(train, others, schema, options)
        version = versions.live_version(exec_properties[SERVING_DIR_KEY], exec_properties[LIVE_VERSION_KEY])
        if not version:
            why = "No version is live yet, so there is nothing to drift from."
            return [*gates, Gate("drift", True, None, None, why)]
        released = versions.statistics_file(exec_properties[SERVING_DIR_KEY], version, TRAIN)
        if not released.exists():
            why = (
                f"The live version {version} carries no statistics of its train split ({released} is missing), so "
                "drift cannot be measured. Set `validation.severity.drift: warn` to replace it by one that does."
            )
            return [*gates, Gate("drift", False, None, None, why, options.severity.drift)]
        live = tfdv.load_stats_binary(str(released))
        return [*gates, *distances.drift_gates(train, live, version, schema, options)]


def _statistics(artifact: types.Artifact) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    splits = artifact_utils.decode_split_names(artifact.split_names)
    if TRAIN not in splits:
        raise ValueError(f"`statistics` must have a train split. Received: {', '.join(splits) or 'none'}.")
    return {split: stats_artifact_utils.load_statistics(artifact, split).proto() for split in splits}


def _anomalies(artifact: types.Artifact, split: str) -> anomalies_pb2.Anomalies | None:
    if split not in artifact_utils.decode_split_names(artifact.split_names):
        return None
    path = os.path.join(artifact_utils.get_split_uri([artifact], split), ANOMALIES_FILE)
    return anomalies_pb2.Anomalies.FromString(Path(path).read_bytes())


def _types(schema: schema_pb2.Schema, labels: dict[str, str]) -> dict[str, str]:
    """The features' types by what the schema says of them."""
    types = {}
    for feature in schema.feature:
        if feature.name not in labels:
            is_text = feature.type == schema_pb2.BYTES and not domain(feature, schema)
            types[feature.name] = "text" if is_text else "category" if feature.type == schema_pb2.BYTES else "number"
    return types


def _files(examples: types.Artifact, split: str) -> list[str]:
    return sorted(str(path) for path in Path(artifact_utils.get_split_uri([examples], split)).iterdir())


def _schema_gate(
    split: str,
    findings: list[Finding],
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    options: ValidationOptions,
) -> Gate:
    if findings:
        why = " ".join(finding.sentence() for finding in findings)
    else:
        why = f"All {statistics.datasets[0].num_examples:,} rows are as the schema says."
    return Gate(f"schema/{split}", not findings, len(findings), 0, why, options.severity.schema_)
