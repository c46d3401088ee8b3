"""What `benchmarks.serving` calls in process: the signature itself, and the network for ONNX Runtime.

python -m benchmarks.serving_bare call BASE_PATH 2x32,1x1 SECONDS     # batches of 32 rows by two threads, …
python -m benchmarks.serving_bare onnx BASE_PATH PACKAGES FOLDER      # tf2onnx and onnx are found in PACKAGES
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "0"

import keras
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # registers the operations that text models hold

from benchmarks.served_model import newest, recorded_rows
from benchmarks.timed_calls import timed

OPSET = 18
WITH_LAYERS = ("network", "encoders.bert", "labels.ordinal", "modalities.text", "modalities.bert_text",
               "modalities.number", "modalities.category")  # fmt: skip
"""Modules of `models` that register the layers of a saved network."""


def call(path: Path, loads: str, seconds: float) -> list[dict[str, Any]]:
    """Calls `serving_default` with so many rows at once, by so many threads."""
    rows = recorded_rows(path)
    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = []
    for load in loads.split(","):
        threads, size = map(int, load.split("x"))
        batches = []
        for start in range(0, max(len(rows), size), size):
            chosen = [rows[(start + number) % len(rows)] for number in range(size)]
            batches.append({name: tf.constant(np.concatenate([row[name] for row in chosen])) for name in rows[0]})
        found.append(timed(lambda turn, batches=batches: function(**batches[turn % len(batches)]), threads, seconds))
    return found


def to_onnx(base_path: Path, packages: str, folder: Path) -> None:
    """Writes the trained network as `network.onnx`, and what it reads and says of the recorded rows as `rows.npz`."""
    sys.path.append(packages)
    import tensorflow_transform as tft

    from models.input_fn import as_dense
    from models.raw import transform_inputs

    for module in WITH_LAYERS:
        importlib.import_module(f"models.{module}")
    artifacts = base_path.parents[1] / "artifacts"
    network = keras.models.load_model(_newest(artifacts / "Trainer" / "model_run") / "model.keras", compile=False)
    transform = tft.TFTransformOutput(str(_newest(artifacts / "Transform" / "transform_graph")))
    rows = recorded_rows(newest(base_path))
    columns = {name: tf.constant(np.concatenate([row[name] for row in rows])) for name in rows[0]}
    inputs = transform_inputs(columns, transform.raw_feature_spec())
    read = as_dense(transform.transform_features_layer()(inputs))
    read = {tensor.name: read[tensor.name] for tensor in network.inputs}
    logits = next(value for name, value in network(read, training=False).items() if name.endswith("logits"))
    register_erfc()
    network.export(folder / "network.onnx", format="onnx", opset_version=OPSET, verbose=False)
    np.savez(folder / "rows.npz", expected_logits=logits.numpy(), **{name: each.numpy() for name, each in read.items()})


def register_erfc() -> None:
    """Keras's gelu says `Erfc`, which tf2onnx does not know: it is 1 less `Erf`."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, context: Any, node: Any, **_: Any) -> None:
            shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
            one = context.make_const(node.name + "_one", np.ones((), np.float32)).output[0]
            erf = context.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype]).output[0]
            context.remove_node(node.name)
            context.make_node("Sub", [one, erf], outputs=node.output, name=node.name, shapes=[shape], dtypes=[dtype])


def _newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: int(path.name))


if __name__ == "__main__":
    if sys.argv[1] == "call":
        print(json.dumps(call(newest(Path(sys.argv[2])), sys.argv[3], float(sys.argv[4]))))
    else:
        to_onnx(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
