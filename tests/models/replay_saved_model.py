"""Run in a process of its own: replays the recorded requests of a SavedModel as TF Serving does, without our code.

Prints one JSON line: the signatures that were asked, the largest difference of a number, and the ops of the graph.
"""

import json
import sys

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the ops)
from tensorflow_serving.apis import prediction_log_pb2


def ask(session, signature, inputs):
    feed = {signature.inputs[name].name: value for name, value in inputs.items()}
    return session.run({name: info.name for name, info in signature.outputs.items()}, feed)


def difference(expected, received):
    assert expected.shape == received.shape, (expected.shape, received.shape)
    if expected.dtype.kind == "f":
        return float(np.max(np.abs(expected - received), initial=0))
    assert (expected == received).all(), (expected, received)
    return 0.0


def replay(directory):
    largest, asked = 0.0, set()
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], directory)
        for record in tf.compat.v1.io.tf_record_iterator(f"{directory}/assets.extra/tf_serving_warmup_requests"):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.HasField("predict_log"):
                request, response = log.predict_log.request, log.predict_log.response
                name = request.model_spec.signature_name
                inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
                expected = {key: tf.make_ndarray(value) for key, value in response.outputs.items()}
            else:
                request, response = log.classify_log.request, log.classify_log.response
                name = request.model_spec.signature_name
                assert meta_graph.signature_def[name].method_name == "tensorflow/serving/classify"
                examples = [example.SerializeToString() for example in request.input.example_list.examples]
                inputs = {"inputs": np.array(examples, dtype=object)}
                rows = [row.classes for row in response.result.classifications]
                expected = {
                    "classes": np.array([[one.label.encode() for one in row] for row in rows], dtype=object),
                    "scores": np.array([[one.score for one in row] for row in rows], dtype=np.float32),
                }
            received = ask(session, meta_graph.signature_def[name], inputs)
            assert received.keys() == expected.keys(), (received.keys(), expected.keys())
            largest = max([largest, *(difference(expected[key], received[key]) for key in expected)])
            asked.add(name)
        ops = sorted({node.op for node in meta_graph.graph_def.node})
    return {"asked": sorted(asked), "largest_difference": largest, "ops": ops}


if __name__ == "__main__":
    print(json.dumps(replay(sys.argv[1])))
