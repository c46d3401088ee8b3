"""Verdicts on tables that went through StatisticsGen and ExampleValidator, each with one thing wrong."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.types import standard_artifacts

from components.artifacts import DataBlessing
from components.data_gate import executor
from components.data_gate.report import render
from components.data_gate.table import read_table
from components.data_gate.text_drift import Texts
from components.data_gate.words import words_of, write_profiles
from components.gates import read_gates
from components.pusher import versions
from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import make_schema

pytestmark = pytest.mark.slow

LABELS = {"label": "category"}


@pytest.fixture(scope="module")
def schema(clean_table, tables, tmp_path_factory):
    """The clean table's schema."""
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path_factory.mktemp("schema"))
    train = stats_artifact_utils.load_statistics(clean_table[1], "train").proto()
    made = make_schema(train, tables.features, LABELS, ValidationOptions())
    tfdv.write_schema_text(made, str(Path(artifact.uri, "schema.pbtxt")))
    return artifact


@pytest.fixture
def judge(schema, tables, tmp_path):
    """Function of (examples, statistics, …) that runs ExampleValidator and DataGate."""

    def run(
        examples,
        statistics,
        options=None,
        serving_dir=tmp_path / "serving",
        live_version=0,
        schema=schema,
        max_bad_ratio=0.5,
        labels=LABELS,
    ):
        anomalies = tables.validate_examples(statistics, schema, tmp_path / "anomalies")
        blessing = DataBlessing()
        blessing.uri = str(tmp_path / "blessing")
        inputs = {"examples": examples, "statistics": statistics, "schema": schema, "anomalies": anomalies}
        executor.Executor().Do(
            {key: [artifact] for key, artifact in inputs.items()},
            {"blessing": [blessing]},
            {
                "labels": json.dumps(labels),
                "features": json.dumps({name: each["type"] for name, each in tables.features.items()}),
                "serving_dir": str(serving_dir),
                "live_version": live_version,
                "max_bad_ratio": max_bad_ratio,
                "options": ValidationOptions.model_validate(options or {}).model_dump_json(),
            },
        )
        gates = {gate.name: gate for gate in read_gates(blessing.uri)}
        report = Path(blessing.uri, "report.txt").read_text()
        return blessing.get_int_custom_property("blessed"), gates, report

    return run


@pytest.fixture
def judge_rows(judge, tables, tmp_path):
    """Function of rows by split, from the table to the verdict."""

    def run(splits, **settings):
        examples = tables.write_examples(tmp_path / "examples", splits)
        return judge(examples, tables.compute_statistics(examples, tmp_path / "statistics"), **settings)

    return run


def failed(gates):
    return {name for name, gate in gates.items() if not gate.passed}


def test_clean_data_is_blessed(clean_table, judge):
    blessed, gates, report = judge(*clean_table)
    assert blessed == 1
    assert not failed(gates)
    assert set(gates) == {
        *(f"{kind}/{split}" for kind in ("schema", "rows") for split in ("train", "eval", "test")),
        *("rows/bad_ratio", "rows/classes", "rows/smallest_class"),
        *(f"skew/{name}" for name in ("label", "department", "age")),
        "drift",
        *(f"{kind}/{split}" for kind in ("duplicates", "near_duplicates") for split in ("eval", "test")),
        "label_conflicts",
        *(f"leak/{name}" for name in ("review", "department", "age")),
    }
    assert gates["drift"].why == "No version is live yet, so there is nothing to drift from."
    assert gates["schema/eval"].why == "All 100 rows are as the schema says."
    assert gates["rows/train"].value == 800
    assert report.startswith("The data may be trained on.\n\nRows: 1,002 read, 1,000 used, 2 quarantined\n")
    assert "2 no label" in report


def test_what_breaks_the_schema_is_told_with_rows(judge_rows, tables):
    def wrong(number):
        return lambda index, value: "Shoes" if index < number else value

    splits = {
        "train": tables.make_rows(400, 1),
        "eval": tables.make_rows(
            100, 2, department=wrong(6), review=lambda index, value: None if index in (5, 6) else value
        ),
        "test": tables.make_rows(
            100, 3, department=wrong(5), label=lambda index, value: "perhaps" if index == 7 else value
        ),
    }
    blessed, gates, report = judge_rows(splits)
    assert blessed == 0
    assert {"schema/eval", "schema/test"} <= failed(gates)
    assert "schema/train" not in failed(gates)
    assert gates["schema/eval"].value == 2
    assert "(6 of 100 rows)" in gates["schema/eval"].why
    assert gates["schema/test"].value == 1, "5 of 100 departments may be new"
    assert "(2 of 100 rows)" in gates["schema/eval"].why
    assert "(1 of 100 rows)" in gates["schema/test"].why
    assert "`label`: expected one of no, yes, in every row;" in gates["schema/test"].why

    assert report.startswith("Blocked by schema/eval, schema/test")
    section = report[report.index("Split eval, feature department") :]
    assert "expected  one of Bottoms, Dresses, Tops, in at least 0.95 of all values" in section
    assert "rows      6 of 100" in section
    assert section.count("e.g.      department='Shoes', ") == 3
    assert "e.g.      review=(missing), age=" in report
    assert "e.g.      label='perhaps', " in report


def test_a_number_where_text_should_be(judge_rows, tables):
    splits = {
        "train": tables.make_rows(100, 1, age=lambda index, value: "forty"),
        "eval": tables.make_rows(20, 2),
        "test": tables.make_rows(20, 3),
    }
    blessed, gates, report = judge_rows(splits)
    assert blessed == 0
    assert "`age`: expected a number;" in gates["schema/train"].why
    assert "(100 of 100 rows)" in gates["schema/train"].why
    assert "age='forty'" in report


def test_one_class_only(judge_rows, tables):
    same = {"label": lambda index, value: "yes"}
    splits = {split: tables.make_rows(50, seed, **same) for seed, split in enumerate(("train", "eval", "test"))}
    blessed, gates, _ = judge_rows(splits)
    assert blessed == 0
    assert {"rows/classes", "rows/smallest_class"} <= failed(gates)
    assert (
        gates["rows/classes"].why
        == "The train split has rows of 1 of its classes (no 0, yes 50); telling apart needs 2."
    )


def test_an_empty_split(judge_rows, tables):
    splits = {"train": tables.make_rows(100, 1), "eval": [], "test": tables.make_rows(30, 2)}
    blessed, gates, report = judge_rows(splits)
    assert blessed == 0
    assert failed(gates) == {"rows/eval", "schema/eval"}
    assert gates["rows/eval"].why == "The eval split has 0 rows; it needs at least 1."
    assert "Split eval\n  came      This split has no rows." in report


def test_skew_names_the_worst_split(judge_rows, tables):
    splits = {
        "train": tables.make_rows(400, 1),
        "eval": tables.make_rows(200, 2),
        "test": tables.make_rows(200, 3, age=lambda index, value: 20.0 + index % 5),
    }
    blessed, gates, _ = judge_rows(splits)
    assert blessed == 0
    assert failed(gates) == {"skew/age"}
    assert gates["skew/age"].value > gates["skew/age"].limit > 0.2
    assert gates["skew/age"].why.startswith("Jensen-Shannon divergence between train and test is ")
    assert "(threshold 0.2 and 0.071 for noise in 200 values)" in gates["skew/age"].why


def test_a_column_that_vanishes_from_one_split_is_skew(judge_rows, tables):
    splits = {
        "train": tables.make_rows(400, 1),
        "eval": tables.make_rows(100, 2, age=lambda index, value: None),
        "test": tables.make_rows(100, 3),
    }
    blessed, gates, _ = judge_rows(splits)
    assert blessed == 0
    assert failed(gates) == {"skew/age"}
    assert gates["skew/age"].value == 1


def test_small_splits_differ_by_chance_and_that_does_not_block(judge_rows, tables):
    splits = {"train": tables.make_rows(80, 1), "eval": tables.make_rows(10, 2), "test": tables.make_rows(10, 3)}
    blessed, gates, _ = judge_rows(splits)
    assert not [name for name in failed(gates) if name.startswith("skew")]
    assert blessed == 1


def test_a_warning_does_not_block(judge_rows, tables):
    splits = {
        "train": tables.make_rows(400, 1),
        "eval": tables.make_rows(100, 2),
        "test": tables.make_rows(100, 3, age=lambda index, value: 20.0 + index % 5),
    }
    blessed, gates, report = judge_rows(splits, options={"severity": {"skew": "warn"}})
    assert blessed == 1
    assert failed(gates) == {"skew/age"}
    assert gates["skew/age"].severity == "warn"
    assert "WARNED skew/age" in report


@pytest.fixture
def released(clean_table, tmp_path):
    """A live version 4 that came from the clean table."""
    target = versions.statistics_file(tmp_path / "serving", 4, "train")
    target.parent.mkdir(parents=True)
    target.write_bytes(Path(clean_table[1].uri, "Split-train", "FeatureStats.pb").read_bytes())
    (tmp_path / "serving" / "4" / versions.MODEL_FILE).touch()
    train = read_table([str(path) for path in Path(clean_table[0].uri, "Split-train").iterdir()], {"review": "text"})
    (words,) = words_of([train.columns["review"]])
    write_profiles(
        versions.text_profile(tmp_path / "serving", 4), {"review": Texts.of(train.columns["review"], words).profile()}
    )
    return tmp_path / "serving"


def test_no_drift_from_itself(clean_table, judge, released):
    blessed, gates, _ = judge(*clean_table, serving_dir=released, live_version=4)
    assert blessed == 1
    assert {name: gates[name].value for name in gates if name.startswith("drift/")} == {
        "drift/label": 0,
        "drift/department": 0,
        "drift/age": 0,
        "drift/review/length": 0,
        "drift/review/unseen_words": 0,
        "drift/review/words": 0,
        "drift/review/language": 0,
        "drift/review/embedding": 0,
    }


@pytest.mark.parametrize("live_version", [4, versions.AT_RUN_TIME])
def test_drift_is_measured_against_the_live_version(judge_rows, tables, released, live_version):
    older = {
        "age": lambda index, value: value and value + 30,
        "label": lambda index, value: "yes" if index % 10 else "no",
    }
    splits = {split: tables.make_rows(400, seed, **older) for seed, split in enumerate(("train", "eval", "test"))}
    blessed, gates, _ = judge_rows(splits, serving_dir=released, live_version=live_version)
    assert blessed == 0
    assert failed(gates) == {"drift/label", "drift/age"}
    assert gates["drift/label"].value == pytest.approx(0.2, abs=0.05)
    assert gates["drift/label"].why.startswith(
        "L-infinity distance between the train splits of this run and of the live version 4 is 0."
    )


def test_a_feature_that_the_live_version_did_not_have_passes(judge, clean_table, released):
    path = versions.statistics_file(released, 4, "train")
    statistics = tfdv.load_stats_binary(str(path))
    features = [each for each in statistics.datasets[0].features if each.path.step[0] != "department"]
    del statistics.datasets[0].features[:]
    statistics.datasets[0].features.extend(features)
    path.write_bytes(statistics.SerializeToString())
    blessed, gates, _ = judge(*clean_table, serving_dir=released, live_version=4)
    assert blessed == 1
    assert gates["drift/department"].why == "The feature is new: version 4 was trained without it."


def test_a_live_version_without_statistics_blocks_and_says_the_way_out(judge, clean_table, tmp_path):
    blessed, gates, _ = judge(*clean_table, live_version=2)
    assert blessed == 0
    assert failed(gates) == {"drift", "drift/review"}
    assert gates["drift/review"].why.startswith("Version 2 keeps no record of the texts of `review`")
    assert not gates["drift/review"].blocks
    assert "Set `validation.severity.drift: warn`" in gates["drift"].why


def test_a_curated_schema_without_thresholds_is_still_measured(clean_table, judge, tmp_path, schema):
    curated = standard_artifacts.Schema()
    curated.uri = str(tmp_path / "curated")
    Path(curated.uri).mkdir()
    made = tfdv.load_schema_text(str(Path(schema.uri, "schema.pbtxt")))
    for feature in made.feature:
        feature.ClearField("skew_comparator")
        feature.ClearField("drift_comparator")
    tfdv.write_schema_text(made, str(Path(curated.uri, "mine.pbtxt")))
    _, gates, _ = judge(*clean_table, schema=curated)
    assert {"skew/label", "skew/department", "skew/age"} <= set(gates)


def test_gates_are_valid_json(clean_table, judge, tmp_path):
    judge(*clean_table)
    (first, *_) = json.loads((tmp_path / "blessing" / "gates.json").read_text())
    assert set(first) == {"name", "passed", "value", "limit", "why", "severity", "rows", "overruled"}


def test_too_many_rows_in_quarantine_block_and_are_told_with_reasons(judge, clean_table):
    blessed, gates, _ = judge(*clean_table, max_bad_ratio=0.001)
    gate = gates["rows/bad_ratio"]
    assert not blessed
    assert not gate.passed
    assert gate.value == pytest.approx(2 / clean_table[0].get_int_custom_property("rows_read"))
    assert gate.limit == 0.001
    assert "`data.max_bad_ratio` allows 0.10%. Reasons: no label 2" in gate.why


def test_where_no_spaces_are_each_character_is_a_word():
    texts = pa.array(["北京欢迎你 Beijing welcomes", "ありがとう", None, "  "])
    (words,) = words_of([texts])
    assert words.lengths.tolist() == [7, 5, 0, 0]
    assert words.vocabulary.take(pa.array(words.ids[:7])).to_pylist() == [*"北京欢迎你", "beijing", "welcomes"]


def test_rows_of_older_spans_that_are_passed_over_are_told():
    counted = {"rows_read": 30, "rows_used": 20, "rows_quarantined": 1, "rows_passed_over": 9}
    assert "Rows: 30 read, 20 used, 1 quarantined, 9 of older spans passed over\n" in render([], [], counted)
