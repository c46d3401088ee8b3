"""What breaks the schema: feature, what was expected, what came, how many rows, and some of them."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data_gate.report import shorten

SHOWN_ROWS = 3
SHOWN_VALUES = 10
MAX_SCANNED_ROWS = 1_000_000
KINDS = {"bytes_list": schema_pb2.BYTES, "float_list": schema_pb2.FLOAT, "int64_list": schema_pb2.INT}


@dataclass
class Finding:
    """One anomaly of one feature in one split.

    Attributes:
        split: where it was found.
        feature: its name; empty if the split as a whole is at fault.
        expected: what the schema asks for.
        came: TFDV's description of what was there.
        rows: rows that break it among those looked at.
        scanned: rows looked at.
        examples: some of those rows.
    """

    split: str
    feature: str
    expected: str
    came: str
    rows: int = 0
    scanned: int = 0
    examples: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """The finding in one sentence."""
        counted = f" ({self.rows:,} of {self.scanned:,} rows)" if self.rows else ""
        where = f"`{self.feature}`: expected {self.expected}; " if self.feature else ""
        return f"{where}{self.came}{counted}"


def find(
    split: str,
    anomalies: anomalies_pb2.Anomalies | None,
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    files: list[str],
) -> list[Finding]:
    """Reads a split's anomalies and looks up rows that cause them.

    Args:
        split: its name.
        anomalies: ExampleValidator's; None if it did not validate this split.
        schema: what the split was held to.
        statistics: of the split.
        files: gzipped TFRecords of tf.Example.

    Returns:
        One finding for every anomaly; none if the split is as the schema says.
    """
    if anomalies is None:
        return [Finding(split, "", "", "This split was not validated.")]
    if anomalies.data_missing or not statistics.datasets[0].num_examples:
        return [Finding(split, "", "", "This split has no rows.")]
    findings = []
    if anomalies.HasField("dataset_anomaly_info"):
        findings.append(Finding(split, "", "", anomalies.dataset_anomaly_info.description))
    features = {feature.name: feature for feature in schema.feature}
    of_feature: dict[str, Finding] = {}
    for key, info in sorted(anomalies.anomaly_info.items()):
        name = info.path.step[0] if info.path.step else key
        if name in features:
            expected = expectation(features[name], schema)
        else:
            expected = "no such feature, for the schema does not name it"
        of_feature[name] = Finding(split, name, expected, info.description)
    if of_feature:
        _look_up(of_feature, {name: features[name] for name in of_feature if name in features}, schema, files)
    return findings + list(of_feature.values())


def expectation(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> str:
    """What a schema asks of one feature, in words."""
    parts = ["text" if feature.type == schema_pb2.BYTES else "a number"]
    values = domain(feature, schema)
    if values:
        named = ", ".join(shorten(value, 30) for value in values[:SHOWN_VALUES])
        more = f" and {len(values) - SHOWN_VALUES} more" if len(values) > SHOWN_VALUES else ""
        parts = [f"one of {named}{more}"]
        mass = feature.distribution_constraints.min_domain_mass
        if feature.HasField("distribution_constraints") and mass < 1:
            parts.append(f"in at least {mass:.4g} of all values")
    if feature.presence.min_fraction:
        every = feature.presence.min_fraction == 1
        parts.append("in every row" if every else f"in at least {feature.presence.min_fraction:.4g} of all rows")
    return ", ".join(parts)


def domain(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> list[str]:
    """The values a feature may take; empty if any."""
    if feature.HasField("string_domain"):
        return list(feature.string_domain.value)
    if feature.HasField("domain"):
        return next((list(each.value) for each in schema.string_domain if each.name == feature.domain), [])
    return []


def _look_up(
    findings: dict[str, Finding], features: dict[str, schema_pb2.Feature], schema: schema_pb2.Schema, files: list[str]
) -> None:
    """Counts the rows that break each feature's part of the schema and keeps a few."""
    domains = {name: set(domain(feature, schema)) for name, feature in features.items()}
    for example in itertools.islice(_examples(files), MAX_SCANNED_ROWS):
        for name, finding in findings.items():
            finding.scanned += 1
            value = example.features.feature.get(name)
            breaks = name not in features or _breaks(value, features[name], domains[name])
            if breaks and (name in features or value is not None):
                finding.rows += 1
                if len(finding.examples) < SHOWN_ROWS:
                    finding.examples.append(_describe(example, first=name))


def _examples(files: list[str]) -> Iterator[tf.train.Example]:
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        yield tf.train.Example.FromString(record)


def _breaks(value: tf.train.Feature | None, feature: schema_pb2.Feature, allowed: set[str]) -> bool:
    """Whether one row's value goes against what the schema says of the feature."""
    kind = value.WhichOneof("kind") if value is not None else None
    values = getattr(value, kind).value if kind else ()
    if kind is None or not values:
        return feature.presence.min_fraction > 0 or feature.presence.min_count > 0
    if KINDS[kind] != feature.type:
        return True
    if feature.value_count.max and len(values) > feature.value_count.max:
        return True
    if kind == "bytes_list":
        return bool(allowed) and any(each.decode("utf-8", "replace") not in allowed for each in values)
    bounds = feature.float_domain if feature.HasField("float_domain") else None
    low = bounds.min if bounds is not None and bounds.HasField("min") else -math.inf
    high = bounds.max if bounds is not None and bounds.HasField("max") else math.inf
    return any(not low <= each <= high for each in values)


def _describe(example: tf.train.Example, first: str) -> str:
    """One row as `name=value` pairs, the feature at fault first."""
    names = sorted(example.features.feature, key=lambda name: (name != first, name))
    if first not in names:
        names.insert(0, first)
    return ", ".join(f"{name}={_show(example.features.feature.get(name))}" for name in names)


def _show(value: tf.train.Feature | None) -> str:
    kind = value.WhichOneof("kind") if value is not None else None
    values = list(getattr(value, kind).value) if kind else []
    if not values:
        return "(missing)"
    return shorten(" | ".join(repr(_text(each)) if kind == "bytes_list" else f"{each:g}" for each in values), 60)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
