"""Equal for what computes the same, different for what does not."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from components.pusher.content_hash import content_hash


@pytest.fixture(scope="module")
def first(tiny_models, tmp_path_factory):
    directory = tmp_path_factory.mktemp("hash") / "model"
    tiny_models.export(directory)
    return directory, content_hash(directory)


def test_a_second_export_of_the_same_model_has_the_same_hash(first, tiny_models, tmp_path):
    directory, digest = first
    for _ in range(3):  # counters in the names of nodes and functions move on
        tf.Variable(1.0)
        tf.function(lambda: tf.constant(1))()
    tiny_models.export(tmp_path / "again")
    assert (tmp_path / "again" / "saved_model.pb").read_bytes() != (directory / "saved_model.pb").read_bytes()
    assert content_hash(tmp_path / "again") == digest
    assert digest.startswith("sha256:")
    assert len(digest) == len("sha256:") + 64


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 0.5000001},
        {"mean": 31.0},
        {"words": ("good", "bad")},
        {"swap": True},
        {"classify_method": "tensorflow/serving/predict"},
    ],
    ids=["variable", "constant", "asset", "wiring", "method"],
)
def test_a_changed_model_has_another_hash(first, tiny_models, tmp_path, change):
    tiny_models.export(tmp_path / "changed", **change)
    assert content_hash(tmp_path / "changed") != first[1]


def test_class_names_count_and_recorded_requests_do_not(first, tiny_models, tmp_path):
    tiny_models.export(tmp_path / "model")
    (tmp_path / "model" / "assets.extra" / "tf_serving_warmup_requests").unlink()
    assert content_hash(tmp_path / "model") == first[1]
    (tmp_path / "model" / "assets.extra" / "classes.txt").write_text("nein\nja")
    assert content_hash(tmp_path / "model") != first[1]


def test_the_last_digits_of_a_mean_in_64_bits_do_not_count(tmp_path):
    def save(name, mean):
        module = tf.Module()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def center(numbers):
            return {"centered": tf.cast(tf.cast(numbers, tf.float64) - tf.constant(mean, tf.float64), tf.float32)}

        module.center = center
        tf.saved_model.save(module, str(tmp_path / name), signatures={"serving_default": center})
        return content_hash(tmp_path / name)

    assert save("a", 149.07127950550731) == save("b", 149.07127950550733)
    assert save("c", 149.0713) != save("d", 149.0714)


def test_loops_and_branches_are_part_of_it(tmp_path):
    def save(name, limit):
        module = tf.Module()

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
        def count(start):
            while start < limit:
                start += 2
            if start > 5:
                start -= 1
            return {"end": start}

        module.count = count
        tf.saved_model.save(module, str(tmp_path / name), signatures={"serving_default": count})
        return content_hash(tmp_path / name)

    assert save("a", 10) == save("b", 10)
    assert save("c", 10) != save("d", 12)


@pytest.mark.slow
def test_another_process_finds_the_same(first):
    code = "import sys; from pathlib import Path; from components.pusher.content_hash import content_hash; "
    code += "print(content_hash(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(first[0])]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first[1]
