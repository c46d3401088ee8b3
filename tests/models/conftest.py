"""A small table of reviews, its tf.Examples, and the Transform graph that its train split gives."""

import functools
import pathlib
import random
import types

import apache_beam as beam
import keras
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from tfx_bsl.public import tfxio

from models.preprocessing import preprocessing_fn
from models.raw import dtype_of, raw_types
from models.spec import (
    LABEL_KEY,
    SPEC_KEY,
    BertOptions,
    CategoryFeature,
    ModelOptions,
    ModelSpec,
    NumberFeature,
    PassthroughFeature,
    TextFeature,
    TextOptions,
    TrainOptions,
)

Row = dict[str, str | float | list[str]]

ONLY_IN_EVAL = "xylophone"
"""A word that the train split does not hold."""


def make_rows(count: int, seed: int) -> list[Row]:
    """Reviews whose words, and nothing else, give the label away."""
    chance = random.Random(seed)
    rows: list[Row] = []
    for _ in range(count):
        label = chance.choice(["no", "yes", "yes"])
        opinion = {"no": ["awful", "torn", "itchy"], "yes": ["lovely", "soft", "perfect"]}[label]
        filler = ["the", "dress", "is", "很", "好", "👍", "שלום", "it's"]
        words = [chance.choice(filler) for _ in range(chance.randrange(12))] + [chance.choice(opinion)]
        chance.shuffle(words)
        row: Row = {"review": " ".join(words), "age": float(chance.randrange(18, 90)), "label": label}
        if chance.random() < 0.8:
            row["title"] = chance.choice(["Dress", "A top", "Shoes!"])
        if chance.random() < 0.8:
            row["department"] = chance.choice(["Tops", "Bottoms", "Trend"])
        rows.append(row)
    return rows


def to_example(row: Row) -> bytes:
    """A tf.Example as ExampleGen writes it: no key for a missing value."""
    example = tf.train.Example()
    for name, value in row.items():
        if isinstance(value, float):
            example.features.feature[name].float_list.value.append(value)
        else:
            values = [value] if isinstance(value, str) else value
            example.features.feature[name].bytes_list.value.extend(each.encode() for each in values)
    return example.SerializeToString()


def write_split(directory: pathlib.Path, rows: list[Row]) -> str:
    """Writes a split and gives its file pattern back."""
    directory.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / "data-00000-of-00001.gz"), "GZIP") as writer:
        for row in rows:
            writer.write(to_example(row))
    return str(directory / "*")


def feature_spec(spec: ModelSpec) -> dict[str, object]:
    """The raw feature spec of a schema with optional features and a required label."""
    optional = {name: tf.io.VarLenFeature(dtype_of(kind)) for name, kind in raw_types(spec).items()}
    return {**optional, LABEL_KEY: tf.io.FixedLenFeature([1], tf.string)}


def run_transform(
    pattern: str, spec: ModelSpec, directory: pathlib.Path, raw_spec: dict[str, object] | None = None
) -> tft.TFTransformOutput:
    """Analyses a split and writes the Transform graph, as TFX Transform does."""
    metadata = tft.DatasetMetadata.from_feature_spec(raw_spec or feature_spec(spec))
    fn = functools.partial(preprocessing_fn, custom_config={SPEC_KEY: spec.model_dump_json()})
    options = PipelineOptions(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    output = directory / "transform"
    with beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=str(directory / "temp")):
        source = tfxio.TFExampleRecord(pattern, schema=metadata.schema)
        rows = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        _ = (rows | tft_beam.AnalyzeDataset(fn)) | tft_beam.WriteTransformFn(str(output))
        _ = metadata | tft_beam.WriteMetadata(str(output / "metadata"), pipeline)
    return tft.TFTransformOutput(str(output))


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return ModelSpec(
        name="reviews",
        features={
            "review": TextFeature(max_len=16),
            "age": NumberFeature(),
            "row_id": PassthroughFeature(),
            "title": TextFeature(max_len=8),
            "department": CategoryFeature(vocabulary_size=2, num_oov_buckets=2),
        },
        text=TextOptions(vocabulary_size=200),
        model=ModelOptions(hidden_dim=8, num_heads=2, feedforward_dim=16),
        train=TrainOptions(epochs=2, batch_size=16, learning_rate=1e-2, checkpoint_every_steps=3),
    )


@pytest.fixture(scope="session")
def splits(tmp_path_factory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("examples")
    eval_rows = make_rows(40, seed=1)
    eval_rows[0]["review"] = f"{ONLY_IN_EVAL} lovely"
    return {
        "train": write_split(directory / "Split-train", make_rows(130, seed=0)),
        "eval": write_split(directory / "Split-eval", eval_rows),
    }


@pytest.fixture(scope="session")
def transform_output(spec, splits, tmp_path_factory) -> tft.TFTransformOutput:
    return run_transform(splits["train"], spec, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="session")
def bert_preset(tmp_path_factory) -> str:
    """A BERT of two layers with random weights, as keras-hub saves it; it knows letters and a few words."""
    import keras_hub

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    pieces += ["soft", "dress", "lovely", "awful", "torn", "itchy", "perfect", "the", "is", "!", "'", "很", "好", "top"]
    directory = str(tmp_path_factory.mktemp("presets") / "tiny_bert")
    keras.utils.set_random_seed(0)
    keras_hub.models.BertBackbone(
        vocabulary_size=len(pieces),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=40,
    ).save_to_preset(directory)
    keras_hub.models.BertTokenizer(pieces, lowercase=True).save_to_preset(directory)
    return directory


@pytest.fixture(scope="session")
def bert_spec(spec, bert_preset) -> ModelSpec:
    return spec.model_copy(update={"model": BertOptions(preset=bert_preset)})


@pytest.fixture(scope="session")
def bert_transform_output(bert_spec, splits, tmp_path_factory) -> tft.TFTransformOutput:
    return run_transform(splits["train"], bert_spec, tmp_path_factory.mktemp("bert_transform"))


@pytest.fixture(scope="session")
def fn_args(splits, transform_output):
    """Makes what TFX Trainer gives to `run_fn`."""

    def make(directory: pathlib.Path, spec: ModelSpec, **changes) -> types.SimpleNamespace:
        (directory / "run").mkdir(parents=True, exist_ok=True)
        arguments = {
            "train_files": [splits["train"]],
            "eval_files": [splits["eval"]],
            "transform_output": transform_output.transform_savedmodel_dir.rpartition("/")[0],
            "serving_model_dir": str(directory / "serving"),
            "model_run_dir": str(directory / "run"),
            "base_model": None,
            "hyperparameters": None,
            "custom_config": {SPEC_KEY: spec.model_dump_json(), "checkpoint_dir": str(directory / "checkpoints")},
        }
        return types.SimpleNamespace(**arguments | changes)

    return make
