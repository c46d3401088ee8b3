"""One network that judges four labels at once: a class, several classes, an ordered class, and a number."""

import json
import pathlib
import random

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models.raw import dtype_of, raw_types
from models.search_space import objectives
from models.spec import (
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TextFeature,
)
from models.trainer import run_fn
from tests.models.conftest import run_transform, write_split

pytestmark = pytest.mark.slow

STARS = {"awful": "1", "fine": "3", "perfect": "10"}
TOPICS = {"tight": "fit", "cheap": "price", "dear": "price"}


def make_rows(count, seed):
    """Rows whose words give all four labels away; `price` is 100 for each word `coat` and 20 besides."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        opinion = chance.choice(list(STARS))
        words = [opinion, *chance.sample(list(TOPICS), chance.randrange(3)), *["coat"] * chance.randrange(3)]
        chance.shuffle(words)
        rows.append(
            {
                "review": " ".join(words),
                "mood": "glad" if opinion == "perfect" else "sad",
                "stars": STARS[opinion],
                "topics": sorted({TOPICS[word] for word in words if word in TOPICS}),
                "price": 20.0 + 100 * words.count("coat"),
            }
        )
    return rows


@pytest.fixture(scope="module")
def trained(spec, fn_args, tmp_path_factory):
    directory = tmp_path_factory.mktemp("heads")
    spec = spec.model_copy(
        update={
            "features": {"review": TextFeature(max_len=8)},
            "model": spec.model.model_copy(update={"hidden_dim": 16, "feedforward_dim": 32, "dropout": 0.1}),
            "heads": {
                "mood": SingleLabelHead(),
                "stars": OrdinalHead(),
                "topics": MultiLabelHead(weight=2.0),
                "price": RegressionHead(),
            },
            "train": spec.train.model_copy(update={"epochs": 30, "early_stopping_patience": 0}),
        }
    )
    patterns = {
        name: write_split(directory / f"Split-{name}", make_rows(count, seed))
        for seed, (name, count) in enumerate({"train": 300, "eval": 60}.items())
    }
    kinds = raw_types(spec, label=True)
    raw_spec = {
        name: tf.io.VarLenFeature(tf.string if kind == "categories" else dtype_of(kind)) for name, kind in kinds.items()
    }
    output = run_transform(patterns["train"], spec, directory, raw_spec).transform_savedmodel_dir
    run_fn(
        fn_args(
            directory,
            spec,
            transform_output=str(pathlib.Path(output).parent),
            train_files=[patterns["train"]],
            eval_files=[patterns["eval"]],
        )
    )
    return directory


@pytest.fixture(scope="module")
def loaded(trained):
    return tf.saved_model.load(str(trained / "serving"))


def ask(loaded, *texts):
    return {
        name: tensor.numpy() for name, tensor in loaded.signatures["serving_default"](review=tf.constant(texts)).items()
    }


def test_every_head_learns(loaded):
    rows = make_rows(100, seed=7)
    answers = ask(loaded, *(row["review"] for row in rows))
    for head, least in (("mood", 0.9), ("stars", 0.9), ("topics", 0.8)):
        expected = ["|".join(row[head]) if isinstance(row[head], list) else row[head] for row in rows]
        received = [label.decode() for label in answers[f"{head}_label"]]
        assert np.mean([left == right for left, right in zip(expected, received, strict=True)]) > least, head
    errors = np.abs(answers["price_value"] - [row["price"] for row in rows])
    assert errors.mean() < 25  # always saying the mean would be off by 67


def test_names_of_the_outputs_begin_with_the_head_s(loaded):
    assert loaded.signatures["serving_default"].structured_outputs.keys() == {
        *(f"{head}_{part}" for head in ("mood", "stars", "topics") for part in ("label", "probabilities", "classes")),
        "price_value",
    }
    assert loaded.signatures.keys() == {
        *("serving_default", "explain", "examples"),
        *("classify_mood", "classify_stars", "classify_topics", "regress_price"),
    }
    answers = ask(loaded, "fine coat")
    assert answers["stars_classes"].tolist() == [[b"1", b"3", b"10"]]  # as numbers, not as words
    assert answers["topics_classes"].tolist() == [[b"fit", b"price"]]


def test_a_head_is_asked_alone_by_the_classify_and_regress_apis(trained, loaded):
    serialized = tf.constant(
        [
            tf.train.Example().SerializeToString(),
            next(
                iter(tf.data.TFRecordDataset([str(path) for path in (trained / "Split-eval").iterdir()], "GZIP"))
            ).numpy(),
        ]
    )
    everything = loaded.signatures["examples"](examples=serialized)
    classified = loaded.signatures["classify_stars"](inputs=serialized)
    np.testing.assert_array_equal(classified["scores"], everything["stars_probabilities"])
    regressed = loaded.signatures["regress_price"](inputs=serialized)
    np.testing.assert_array_equal(regressed["outputs"], everything["price_value"])


def test_requests_are_recorded_for_every_signature(trained):
    records = tf.data.TFRecordDataset(str(trained / "serving" / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    regressions = [log.regress_log for log in logs if log.HasField("regress_log")]
    assert {log.request.model_spec.signature_name for log in regressions} == {"regress_price"}
    assert all(
        len(log.response.result.regressions) == len(log.request.input.example_list.examples) for log in regressions
    )
    classes = [log.classify_log.request.model_spec.signature_name for log in logs if log.HasField("classify_log")]
    assert set(classes) == {"classify_mood", "classify_stars", "classify_topics"}
    assert (trained / "serving" / "assets.extra" / "topics_classes.txt").read_text() == "fit\nprice\n"


def test_the_curve_tells_of_every_head(trained):
    curve = json.loads((trained / "run" / "training.json").read_text())["curve"]
    assert {"val_mood_accuracy", "val_stars_levels_off", "val_topics_binary_accuracy", "val_price_absolute_error"} < (
        curve[-1].keys()
    )
    weighted = {"mood": 1, "stars": 1, "topics": 2, "price": 1}
    heads = {"mood": SingleLabelHead(), "stars": OrdinalHead(), "topics": MultiLabelHead(), "price": RegressionHead()}
    assert {f"val_{name}" for name in objectives(heads)} < curve[-1].keys()
    total = sum(weight * curve[-1][f"{head}_loss"] for head, weight in weighted.items())
    assert curve[-1]["loss"] == pytest.approx(total, rel=1e-2)  # Keras counts batches for the heads, rows for the sum
