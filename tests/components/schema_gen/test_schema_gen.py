"""The schema follows the config's types, and the data within them."""

from pathlib import Path

import pytest
import tensorflow_data_validation as tfdv
from pydantic import ValidationError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.types import standard_artifacts

from components.schema_gen import executor
from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import add_comparators, make_schema, value_counts

LABELS = {"label": "category"}


@pytest.fixture(scope="module")
def train(clean_table):
    return stats_artifact_utils.load_statistics(clean_table[1], "train").proto()


def feature(schema, name):
    return tfdv.get_feature(schema, name)


def test_types_presence_and_domains(train, tables):
    features = {**tables.features, "department": {"type": "category", "required": True}}
    schema = make_schema(train, features, LABELS, ValidationOptions(min_domain_mass=0.9))
    assert [each.name for each in schema.feature] == ["label", "review", "department", "age"]
    types = {each.name: each.type for each in schema.feature}
    assert types.pop("age") == schema_pb2.FLOAT
    assert set(types.values()) == {schema_pb2.BYTES}
    required = {each.name for each in schema.feature if each.presence.min_fraction == 1}
    assert required == {"label", "review", "department"}
    assert list(feature(schema, "label").string_domain.value) == ["no", "yes"]
    assert feature(schema, "label").distribution_constraints.min_domain_mass == 1
    assert list(feature(schema, "department").string_domain.value) == ["Bottoms", "Dresses", "Tops"]
    assert feature(schema, "department").distribution_constraints.min_domain_mass == pytest.approx(0.9)
    assert not feature(schema, "review").HasField("string_domain")
    assert all(each.value_count.max == 1 and not each.HasField("shape") for each in schema.feature)


def test_classes_that_look_like_booleans_stay_text(tables, tmp_path):
    rows = [{"label": str(index % 2), "review": f"text {index}"} for index in range(20)]
    examples = tables.write_examples(tmp_path / "examples", {"train": rows})
    statistics = tables.compute_statistics(examples, tmp_path / "statistics")
    train = stats_artifact_utils.load_statistics(statistics, "train").proto()
    schema = make_schema(train, {"review": {"type": "text"}}, LABELS, ValidationOptions())
    assert list(feature(schema, "label").string_domain.value) == ["0", "1"]


def test_thresholds_by_type_and_by_feature(train, tables):
    options = ValidationOptions.model_validate(
        {"drift": {"number": 0.3, "features": {"department": 0.05}}, "skew": {"label": 0.02}}
    )
    schema = make_schema(train, tables.features, LABELS, options)
    assert feature(schema, "age").drift_comparator.jensen_shannon_divergence.threshold == pytest.approx(0.3)
    assert feature(schema, "age").skew_comparator.jensen_shannon_divergence.threshold == pytest.approx(0.2)
    assert feature(schema, "department").drift_comparator.infinity_norm.threshold == pytest.approx(0.05)
    assert feature(schema, "label").skew_comparator.infinity_norm.threshold == pytest.approx(0.02)
    assert not feature(schema, "review").HasField("drift_comparator")


def test_a_curated_schema_keeps_its_own_thresholds(train, tables):
    schema = make_schema(train, tables.features, LABELS, ValidationOptions())
    feature(schema, "age").drift_comparator.jensen_shannon_divergence.threshold = 0.7
    feature(schema, "department").ClearField("drift_comparator")
    add_comparators(schema, {}, LABELS, ValidationOptions())
    assert feature(schema, "age").drift_comparator.jensen_shannon_divergence.threshold == pytest.approx(0.7)
    assert feature(schema, "department").drift_comparator.infinity_norm.threshold == pytest.approx(0.2)


def test_a_feature_without_any_value_is_named(train, tables):
    with pytest.raises(ValueError, match="No row of the train split has a value of `colour`, `size`. Check the column"):
        make_schema(
            train,
            {**tables.features, "colour": {"type": "text"}, "size": {"type": "number"}},
            LABELS,
            ValidationOptions(),
        )


def test_statistics_tell_how_often_each_value_occurs_unless_they_left_some_out():
    feature = statistics_pb2.FeatureNameStatistics()
    feature.string_stats.common_stats.tot_num_values = 6
    feature.string_stats.unique = 2
    for label, rows in (("no", 2), ("yes", 4)):
        feature.string_stats.rank_histogram.buckets.add(label=label, sample_count=rows)
    assert value_counts(feature) == {"no": 2, "yes": 4}
    feature.string_stats.unique = 3  # a sketch gave the third one's row to another
    assert value_counts(feature) is None


def test_a_label_of_a_thousand_classes_is_refused(tables, tmp_path):
    rows = [{"label": f"id {index}", "review": "text"} for index in range(1100)]
    examples = tables.write_examples(tmp_path / "examples", {"train": rows})
    statistics = tables.compute_statistics(examples, tmp_path / "statistics")
    train = stats_artifact_utils.load_statistics(statistics, "train").proto()
    with pytest.raises(ValueError, match="The label `label` has 1100 different values, too many to be classes"):
        make_schema(train, {"review": {"type": "text"}}, LABELS, ValidationOptions())


def test_the_executor_writes_a_schema_that_tfx_reads(clean_table, tables, tmp_path):
    import json

    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")
    properties = {
        "features": json.dumps(tables.features),
        "labels": json.dumps(LABELS),
        "options": ValidationOptions().model_dump_json(),
    }
    executor.Executor().Do({"statistics": [clean_table[1]]}, {"schema": [schema]}, properties)
    (path,) = Path(schema.uri).iterdir()
    assert path.name == "schema.pbtxt"
    assert len(tfdv.load_schema_text(str(path)).feature) == 4


def test_options_travel_as_json_and_refuse_what_they_do_not_know():
    options = ValidationOptions.model_validate({"severity": {"schema": "warn"}, "skew": {"features": {"age": 0.5}}})
    assert ValidationOptions.model_validate_json(options.model_dump_json()) == options
    assert options.model_dump()["severity"]["schema"] == "warn"
    with pytest.raises(ValidationError, match="dirft\n  Extra inputs are not permitted"):
        ValidationOptions.model_validate({"dirft": {}})


def test_labels_are_classes_several_classes_or_numbers(tables, tmp_path):
    rows = [
        {"mood": "glad", "topics": ["fit", "price"], "price": float(index), "review": "text"} for index in range(40)
    ]
    rows[0].pop("topics")
    statistics = tables.compute_statistics(
        tables.write_examples(tmp_path / "examples", {"train": rows}), tmp_path / "statistics"
    )
    labels = {"mood": "category", "topics": "categories", "price": "number"}
    train = stats_artifact_utils.load_statistics(statistics, "train").proto()
    schema = make_schema(train, {"review": {"type": "text"}}, labels, ValidationOptions())
    assert [each.name for each in schema.feature] == ["mood", "topics", "price", "review"]
    mood, topics, price, _ = schema.feature
    assert list(topics.string_domain.value) == ["fit", "price"]
    assert topics.distribution_constraints.min_domain_mass == mood.distribution_constraints.min_domain_mass == 1
    assert (mood.presence.min_fraction, topics.presence.min_fraction, price.presence.min_fraction) == (1, 0, 1)
    assert topics.value_count.max == 0  # any number of them
    assert price.type == schema_pb2.FLOAT
    assert price.drift_comparator.jensen_shannon_divergence.threshold == pytest.approx(0.2)
    assert topics.drift_comparator.infinity_norm.threshold == pytest.approx(0.1)
