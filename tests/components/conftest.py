"""Real artifacts to run executors on: a tiny exported model, and tables that went through TFX's own nodes."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_serving.apis import prediction_log_pb2
from tfx.components.example_validator import executor as example_validator
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from pipeline.dag import STATS_OPTIONS

CLASSES = ("no", "yes")
FEATURES = {"review": tf.io.FixedLenFeature([], tf.string, ""), "age": tf.io.FixedLenFeature([], tf.float32, np.nan)}
BATCH_STRINGS = tf.TensorSpec([None], tf.string)


class TinyModel(tf.Module):
    """Looks up one word, adds an age: small, but with a table, an asset, a variable, constants and a Text op."""

    def __init__(self, vocabulary, weight=0.5, mean=30.0, swap=False):
        super().__init__()
        self.asset = tf.saved_model.Asset(vocabulary)
        initializer = tf.lookup.TextFileInitializer(
            self.asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(initializer, -1)
        self.weight = tf.Variable([weight, -weight], dtype=tf.float32)
        self.bias = tf.Variable([0.1, 0.2], dtype=tf.float32)
        self.mean = tf.constant(mean)
        self.swap = swap

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "review"), tf.TensorSpec([None], tf.float32, "age")])
    def serve(self, review, age):
        word = tf.cast(self.table.lookup(tf_text.normalize_utf8(review)), tf.float32)
        years = tf.where(tf.math.is_nan(age), self.mean, age)
        centred = self.mean - years if self.swap else years - self.mean
        logits = word[:, tf.newaxis] * self.weight + centred[:, tf.newaxis] * self.bias
        probabilities = tf.nn.softmax(logits)
        classes = tf.tile(tf.constant([CLASSES]), [tf.shape(review)[0], 1])
        label = tf.gather(tf.constant(CLASSES), tf.argmax(probabilities, -1))
        return {"label": label, "probabilities": probabilities, "classes": classes}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def examples(self, examples):
        return self.serve(**tf.io.parse_example(examples, FEATURES))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        outputs = self.examples(inputs)
        return {"classes": outputs["classes"], "scores": outputs["probabilities"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "review"), tf.TensorSpec([None], tf.float32, "age")])
    def explain(self, review, age):
        tokens = review[:, tf.newaxis]
        origins = tf.fill(tf.shape(tokens), "review")
        attention = tf.ones_like(tokens, tf.float32)
        return {**self.serve(review, age), "tokens": tokens, "token_features": origins, "attention": attention}


def record_of(**values):
    """A tf.Example: bytes for text, floats for numbers, nothing for None."""
    features = {}
    for name, value in values.items():
        if isinstance(value, str | list):
            values = [value] if isinstance(value, str) else value
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[each.encode() for each in values]))
        elif value is not None:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def export(directory, words=("bad", "good"), classify_method="tensorflow/serving/classify", **settings):
    """Writes a SavedModel with its four signatures, class names and recorded requests."""
    vocabulary = Path(directory).parent / f"{Path(directory).name}_vocabulary" / "words.txt"
    vocabulary.parent.mkdir(parents=True)
    vocabulary.write_text("\n".join(words))
    model = TinyModel(str(vocabulary), **settings)
    signatures = {"serving_default": model.serve, "examples": model.examples, "explain": model.explain}
    tf.saved_model.save(model, str(directory), signatures={**signatures, "classify": model.classify})
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(directory))
    updater.replace_method_name("classify", classify_method)
    updater.save()
    extra = Path(directory) / "assets.extra"
    extra.mkdir()
    (extra / "classes.txt").write_text("\n".join(CLASSES))
    write_requests(directory, recorded(model))
    return model


def recorded(model):
    """Requests with the answers that the Python model gives."""
    review, age = tf.constant(["good", "bad", "good"]), tf.constant([20.0, 41.0, np.nan])
    rows = [{"review": "good", "age": 20.0}, {"review": "bad", "age": 41.0}, {"review": "good"}]
    examples = [record_of(**row) for row in rows]
    serialized = tf.constant([example.SerializeToString() for example in examples])
    logs = []
    for name, inputs in (
        ("serving_default", {"review": review, "age": age}),
        ("explain", {"review": review, "age": age}),
        ("examples", {"examples": serialized}),
    ):
        outputs = (model.serve if name == "serving_default" else getattr(model, name))(**inputs)
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.model_spec.signature_name = name
        for key, value in inputs.items():
            log.predict_log.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        for key, value in outputs.items():
            log.predict_log.response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        logs.append(log)
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.signature_name = "classify"
    log.classify_log.request.input.example_list.examples.extend(examples)
    outputs = model.classify(serialized)
    for classes, scores in zip(outputs["classes"].numpy(), outputs["scores"].numpy(), strict=True):
        row = log.classify_log.response.result.classifications.add()
        for label, score in zip(classes, scores, strict=True):
            row.classes.add(label=label.decode(), score=score)
    return [*logs, log]


def write_requests(directory, logs):
    with tf.io.TFRecordWriter(str(Path(directory, "assets.extra", "tf_serving_warmup_requests"))) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def read_requests(directory):
    path = str(Path(directory, "assets.extra", "tf_serving_warmup_requests"))
    return [
        prediction_log_pb2.PredictionLog.FromString(each) for each in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]


@pytest.fixture(scope="session")
def tiny_models():
    """The functions above, for tests in other files."""

    class TinyModels:
        pass

    TinyModels.export = staticmethod(export)
    TinyModels.read_requests = staticmethod(read_requests)
    TinyModels.write_requests = staticmethod(write_requests)
    return TinyModels


@pytest.fixture(scope="session")
def model_artifact(tmp_path_factory):
    """A Model artifact with the tiny model; not to be changed."""
    artifact = standard_artifacts.Model()
    artifact.uri = str(tmp_path_factory.mktemp("model"))
    export(path_utils.serving_model_dir(artifact.uri))
    return artifact


def write_examples(directory, splits):
    """An Examples artifact as our ExampleGen leaves it: gzipped TFRecords, split by split, and its counters."""
    examples = standard_artifacts.Examples()
    examples.uri = str(directory)
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    for split, rows in splits.items():
        folder = Path(examples.uri, f"Split-{split}")
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
            for row in rows:
                writer.write(record_of(**row).SerializeToString())
    total = sum(map(len, splits.values()))
    examples.set_int_custom_property("rows_read", total + 2)
    examples.set_int_custom_property("rows_used", total)
    examples.set_int_custom_property("rows_quarantined", 2)
    examples.set_string_custom_property("quarantined_by_reason", json.dumps({"no label": 2}))
    return examples


def compute_statistics(examples, directory):
    """TFX's StatisticsGen, as the pipeline sets it."""
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(directory)
    context = statistics_gen.Executor.Context(
        beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"], tmp_dir=str(directory) + "_tmp"
    )
    properties = {"stats_options_json": STATS_OPTIONS.to_json()}
    statistics_gen.Executor(context).Do({"examples": [examples]}, {"statistics": [statistics]}, properties)
    return statistics


def validate_examples(statistics, schema, directory):
    """TFX's ExampleValidator."""
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(directory)
    for split in artifact_utils.decode_split_names(statistics.split_names):
        Path(anomalies.uri, f"Split-{split}").mkdir(parents=True)
    example_validator.Executor().Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {"exclude_splits": "null"}
    )
    return anomalies


def make_rows(number, seed=0, **changes):
    """Rows of a table: two classes, a required text, a category, and a number that is sometimes missing.

    Args:
        number: of rows.
        seed: of the random values.
        changes: column → function of (row number, value) that gives another value.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(number):
        row = {
            "label": "yes" if generator.random() < 0.7 else "no",
            "review": " ".join(generator.choice(["fine", "bad", "soft", "tight", "blue"], 4)) + f" {index}",
            "department": str(generator.choice(["Tops", "Dresses", "Bottoms"], p=[0.5, 0.3, 0.2])),
            "age": None if generator.random() < 0.05 else float(generator.normal(45, 10)),
        }
        rows.append({name: changes[name](index, value) if name in changes else value for name, value in row.items()})
    return rows


TABLE_FEATURES = {
    "review": {"type": "text", "required": True},
    "department": {"type": "category", "required": False},
    "age": {"type": "number", "required": False},
}


@pytest.fixture(scope="session")
def tables():
    """The functions above, for tests in other files."""

    class Tables:
        features = TABLE_FEATURES

    for function in (make_rows, write_examples, compute_statistics, validate_examples):
        setattr(Tables, function.__name__, staticmethod(function))
    return Tables


@pytest.fixture(scope="session")
def clean_table(tmp_path_factory):
    """Examples and statistics of a table that nothing is wrong with; not to be changed."""
    root = tmp_path_factory.mktemp("clean")
    splits = {"train": make_rows(800, 1), "eval": make_rows(100, 2), "test": make_rows(100, 3)}
    examples = write_examples(root / "examples", splits)
    return examples, compute_statistics(examples, root / "statistics")
