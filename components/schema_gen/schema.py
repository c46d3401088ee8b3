"""The schema of the examples: found in the train split, then shaped by the types that the config gives."""

from collections.abc import Mapping
from typing import Any, Literal

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.schema_gen.options import ValidationOptions


def make_schema(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    features: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, str],
    options: ValidationOptions,
) -> schema_pb2.Schema:
    """Infers a schema and holds it to the config's types.

    Numbers are FLOAT, all else is BYTES. Labels and required features stand in every row, others may be missing, and
    so may a label of any number of classes. A label's domain is the classes of the train split, and nothing else is
    allowed; a category's domain is the train split's values, which must cover `options.min_domain_mass` of any other
    split. Texts have no domain.

    Args:
        statistics: of the train split.
        features: feature name → at least `type` (`text`, `number`, `category`, `passthrough`) and `required`.
        labels: label name → `category`, `categories` or `number`.
        options: limits that the schema carries as comparators and distribution constraints.

    Returns:
        The schema, with one feature for each of `labels` and `features`.

    Raises:
        ValueError: a feature or a label has no value in any row of the train split.
    """
    schema = tfdv.infer_schema(statistics, infer_feature_shape=False)
    seen = {
        each.path.step[0]: each for each in statistics.datasets[0].features if common_statistics(each).num_non_missing
    }
    missing = [name for name in [*labels, *features] if name not in seen]
    if missing:
        raise ValueError(
            f"No row of the train split has a value of {', '.join(f'`{name}`' for name in missing)}. "
            "Check the column's name under `features` (or that of the label), or leave the feature out."
        )
    inferred = {feature.name: feature for feature in schema.feature}
    del schema.feature[:], schema.string_domain[:]
    of_labels = {name: {"type": kind, "required": kind != "categories"} for name, kind in labels.items()}
    for name, settings in {**of_labels, **features}.items():
        feature = schema.feature.add(name=name)
        if settings["type"] == "categories":
            feature.value_count.min = 0  # else one class in every row of train would be a rule
        else:
            feature.value_count.CopyFrom(inferred[name].value_count)
        _shape(feature, settings, seen[name], 1.0 if name in labels else options.min_domain_mass)
    add_comparators(schema, {name: settings["type"] for name, settings in features.items()}, labels, options)
    return schema


def _shape(
    feature: schema_pb2.Feature,
    settings: Mapping[str, Any],
    statistics: statistics_pb2.FeatureNameStatistics,
    min_domain_mass: float,
) -> None:
    feature.type = schema_pb2.FLOAT if settings["type"] == "number" else schema_pb2.BYTES
    feature.presence.SetInParent()
    if settings.get("required"):
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
    if settings["type"] not in ("category", "categories"):
        return
    counts = value_counts(statistics)
    if counts is None:
        if min_domain_mass == 1:
            raise ValueError(
                f"The label `{feature.name}` has {statistics.string_stats.unique} different values, too many to be "
                "classes. Is it an identifier or a free text? Numbers want a head of `type: regression`."
            )
        return
    feature.string_domain.name = feature.name
    feature.string_domain.value.extend(sorted(counts))
    feature.distribution_constraints.min_domain_mass = min_domain_mass


def add_comparators(
    schema: schema_pb2.Schema, types: Mapping[str, str], labels: Mapping[str, str], options: ValidationOptions
) -> None:
    """Gives features the config's drift and skew thresholds, where the schema has none of its own.

    Args:
        schema: changed in place.
        types: feature name → type of the config; a feature not named here is taken by what the schema says of it.
        labels: label name → `category`, `categories` or `number`.
        options: the thresholds.
    """
    for feature in schema.feature:
        kind = _kind(feature, types, labels)
        if kind is None:
            continue
        measure = "jensen_shannon_divergence" if kind == "number" else "infinity_norm"
        for comparator, thresholds in (
            (feature.drift_comparator, options.drift),
            (feature.skew_comparator, options.skew),
        ):
            if not comparator.ListFields():
                getattr(comparator, measure).threshold = thresholds.of(feature.name, kind)


def _kind(
    feature: schema_pb2.Feature, types: Mapping[str, str], labels: Mapping[str, str]
) -> Literal["label", "category", "number"] | None:
    if feature.name in labels:
        return "number" if labels[feature.name] == "number" else "label"
    found = types.get(feature.name)
    if found is None:
        numeric = feature.type in (schema_pb2.FLOAT, schema_pb2.INT)
        has_domain = feature.HasField("string_domain") or feature.HasField("domain")
        found = "number" if numeric else "category" if has_domain else "text"
    if found == "number":
        return "number"
    return "category" if found == "category" else None


def common_statistics(statistics: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    """The counts that every kind of feature has."""
    return getattr(statistics, statistics.WhichOneof("stats") or "bytes_stats").common_stats


def value_counts(statistics: statistics_pb2.FeatureNameStatistics) -> dict[str, int] | None:
    """How often each value of a bytes feature occurs.

    Returns:
        value → rows; None if there are more different values than the statistics keep. The counts of those that they
        keep are then too high and may well add up to all rows, if they come from a sketch.
    """
    counts = {bucket.label: int(bucket.sample_count) for bucket in statistics.string_stats.rank_histogram.buckets}
    return counts if len(counts) == statistics.string_stats.unique else None
