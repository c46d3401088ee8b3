"""Recorded requests: what a server warms up with, and what the release gate replays.

The answers are computed eagerly, by the trained Keras network behind the Transform graph, and not by the exported
signatures: a replay compares two ways of computing.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from models.raw import parse_examples, raw_types
from models.spec import ModelSpec

SERVING_DEFAULT, EXAMPLES, EXPLAIN, EMBED = "serving_default", "examples", "explain", "embed"
"""Signatures of every SavedModel, the last where a head learns similarity."""

FILE_NAME = "tf_serving_warmup_requests"
"""The name under which TF Serving looks for recorded requests."""

_REAL_ROWS = 8
_SQUARE = "layer_attention"
"""Grows with the square of the tokens: it is recorded of a few short rows only."""

_SHORT_ROWS = 5
_HARD_TEXTS = (
    "",
    " \t\n",
    "!!!",
    "Zażółć gęślą jaźń – ﬁne",
    "这件衣服很好看",
    "שלום עולם, مرحبا",
    "👍🏽👨‍👩‍👧 ok",
    "zyxwvutsrqponm " * 500,
)


class Judge(Protocol):
    """Answers requests; `models.signatures.ServedModel` does."""

    def predict(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]: ...
    def explain(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]: ...
    def embed(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]: ...
    def predict_examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]: ...
    def judge_examples(self, serialized: tf.Tensor, head: str) -> dict[str, tf.Tensor]: ...


def write_warmup_requests(model: Judge, spec: ModelSpec, example_patterns: Sequence[str], directory: str) -> None:
    """Records requests and answers for every signature.

    Args:
        model: the trained network behind the Transform graph.
        spec: the features.
        example_patterns: files of raw tf.Examples; their first rows are asked, and then rows that are hard to read.
        directory: `assets.extra` of the SavedModel.
    """
    real = tf.constant(_first_examples(example_patterns))
    hard = tf.constant(_hard_examples(spec))
    with tf.io.TFRecordWriter(os.path.join(directory, FILE_NAME)) as writer:
        for serialized in (real, real[:1], hard):
            for log in _logs(model, spec, serialized):
                writer.write(log.SerializeToString())
        if spec.explain.layers:
            rows = parse_examples(hard[:_SHORT_ROWS], raw_types(spec))
            writer.write(_predict_log(EXPLAIN, rows, model.explain(rows)).SerializeToString())


def _first_examples(patterns: Sequence[str]) -> list[bytes]:
    files = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(files, "GZIP" if all(path.endswith(".gz") for path in files) else "")
    return list(records.take(_REAL_ROWS).as_numpy_iterator())


def _hard_examples(spec: ModelSpec) -> list[bytes]:
    """Rows with odd texts, unknown categories, far numbers; and one row with no value at all."""
    examples = [tf.train.Example()]
    for index, text in enumerate(_HARD_TEXTS):
        example = tf.train.Example()
        for name, feature in spec.inputs.items():
            if feature.type == "number":
                example.features.feature[name].float_list.value.append((-10.0) ** index)
            else:
                example.features.feature[name].bytes_list.value.append(text.encode())
        examples.append(example)
    return [example.SerializeToString() for example in examples]


def _logs(model: Judge, spec: ModelSpec, serialized: tf.Tensor) -> list[prediction_log_pb2.PredictionLog]:
    rows = parse_examples(serialized, raw_types(spec))
    return [
        _predict_log(SERVING_DEFAULT, rows, model.predict(rows)),
        _predict_log(EXPLAIN, rows, model.explain(rows), without=_SQUARE),
        *([_predict_log(EMBED, rows, model.embed(rows))] if spec.embedding_head else ()),
        _predict_log(EXAMPLES, {"examples": serialized}, model.predict_examples(serialized)),
        *(
            _judge_log(signature, serialized, model.judge_examples(serialized, head))
            for signature, head in spec.signatures.items()
        ),
    ]


def _predict_log(
    signature: str, inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor], without: str = ""
) -> prediction_log_pb2.PredictionLog:
    """A request and its response; if there is an output `without`, all others are asked for."""
    request, response = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
    request.model_spec.signature_name = response.model_spec.signature_name = signature
    if without in outputs:
        outputs = {name: tensor for name, tensor in outputs.items() if name != without}
        request.output_filter.extend(outputs)
    for protos, tensors in ((request.inputs, inputs), (response.outputs, outputs)):
        for name, tensor in tensors.items():
            protos[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request, response=response)
    )


def _judge_log(
    signature: str, serialized: tf.Tensor, outputs: Mapping[str, tf.Tensor]
) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    own = log.regress_log if "outputs" in outputs else log.classify_log
    examples = [tf.train.Example.FromString(example) for example in serialized.numpy()]
    own.request.input.example_list.examples.extend(examples)
    own.request.model_spec.signature_name = own.response.model_spec.signature_name = signature
    if "outputs" in outputs:
        for value in outputs["outputs"].numpy():
            own.response.result.regressions.add(value=value)
        return log
    for names, scores in zip(outputs["classes"].numpy(), outputs["scores"].numpy(), strict=True):
        row = own.response.result.classifications.add()
        for name, score in zip(names, scores, strict=True):
            row.classes.add(label=name, score=score)
    return log
