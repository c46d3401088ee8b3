"""Whole tables through a real SavedModel: the same answers, nothing lost, nothing twice."""

import json

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from components.batch_predict.predict import PredictDoFn, Task, part_path, quarantine_path
from components.example_gen.options import ExampleGenOptions
from components.example_gen.plan import plan_file

pytestmark = pytest.mark.slow

COLUMNS = [
    {"name": "review", "column": "Review", "type": "text"},
    {"name": "age", "column": "Age", "type": "number"},
    {"name": "order", "column": "Order", "type": "passthrough"},
]
TABLES = {
    "a.csv": "Review,Age,Order\ngood,20,x1\nbad,41,x2\n,old,x3\ngood,,x4\n",
    "b.csv": "Order,Age,Review\nx5,50,bad\n",
}


@pytest.fixture(scope="module")
def model_dir(tiny_models, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "1"
    tiny_models.export(directory)
    return directory


@pytest.fixture
def job(model_dir, tmp_path):
    """Function of a format that gives the task and its units."""
    options = ExampleGenOptions.model_construct(**{"labels": (), "quarantine_dir": "-"})
    columns = ExampleGenOptions.model_validate(
        {"columns": COLUMNS, "labels": [{"name": "label", "column": "L"}], "quarantine_dir": "-"}
    ).columns
    options = options.model_copy(update={"columns": columns})

    def make(format="jsonl"):
        units = []
        for name, text in TABLES.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
            units += plan_file(str(tmp_path / name), name, options.used_columns())
        output = tmp_path / format
        (output / "_reports").mkdir(parents=True)
        task = Task.model_construct(
            model_dir=str(model_dir), explain=False, format=format, options=options, output_dir=str(output)
        )
        return task, units

    return make


def run(task, units):
    options = PipelineOptions(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    with beam.Pipeline(options=options) as pipeline:
        _ = pipeline | beam.Create(list(enumerate(units))) | beam.ParDo(PredictDoFn(task))


def rows_of(task, index):
    with open(part_path(task, index), encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_row_is_answered_as_the_signature_answers_it_or_kept(job, model_dir):
    task, units = job()
    run(task, units)
    rows = rows_of(task, 0) + rows_of(task, 1)
    assert [(row["file"], row["row"], row["order"]) for row in rows] == [
        ("a.csv", 1, "x1"),
        ("a.csv", 2, "x2"),
        ("a.csv", 4, "x4"),
        ("b.csv", 1, "x5"),
    ]
    signature = tf.saved_model.load(str(model_dir)).signatures["serving_default"]
    answers = signature(
        review=tf.constant(["good", "bad", "good", "bad"]), age=tf.constant([20.0, 41.0, float("nan"), 50.0])
    )
    for at, row in enumerate(rows):
        assert row["label"] == answers["label"][at].numpy().decode()
        expected = dict(zip(("no", "yes"), answers["probabilities"][at].numpy().tolist(), strict=True))
        assert row["probabilities"] == pytest.approx(expected, abs=1e-6)
    with open(quarantine_path(task, 0), encoding="utf-8") as lines:
        (bad,) = [json.loads(line) for line in lines]
    assert (bad["file"], bad["row"], bad["reason"], bad["detail"]["received"]) == ("a.csv", 3, "not_a_number", "old")


def test_what_was_predicted_before_a_kill_is_left_and_the_rest_is_done(job):
    task, units = job()
    run(task, units[:1])
    marked = part_path(task, 0)
    with open(marked, "a", encoding="utf-8") as file:
        file.write("left alone\n")
    with open(f"{part_path(task, 1)}.partial", "w", encoding="utf-8") as file:
        file.write("half a ro")
    run(task, units)
    with open(marked, encoding="utf-8") as file:
        assert file.read().endswith("left alone\n")
    assert [row["order"] for row in rows_of(task, 1)] == ["x5"]


def test_parquet_holds_what_json_lines_hold(job):
    lines, table = job(), job("parquet")
    run(*lines)
    run(*table)
    for index in (0, 1):
        assert pq.read_table(part_path(table[0], index)).to_pylist() == rows_of(lines[0], index)
