"""Requests as a TF Serving client writes them."""

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import inference_pb2, predict_pb2

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


def predict_request(spec="name: 'reviews'", output_filter=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    text_format.Parse(spec, request.model_spec)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def good(**changes):
    values = {"review": ["a good dress"], "age": [34.0]} | changes
    return {name: value for name, value in values.items() if value is not None}


def example(**features):
    result = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, str):
            result.features.feature[name].bytes_list.value.append(value.encode())
        else:
            result.features.feature[name].float_list.value.append(value)
    return result


def examples_request(cls, spec, *examples):
    request = cls()
    text_format.Parse(spec, request.model_spec)
    if examples:
        request.input.example_list.examples.extend(examples)
    return request


def multi(*tasks, examples=None):
    request = inference_pb2.MultiInferenceRequest()
    for spec, method in tasks:
        text_format.Parse(spec, request.tasks.add(method_name=method).model_spec)
    request.input.example_list.examples.extend([example(x=1.0)] if examples is None else examples)
    return request


def refused(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value.code().name, caught.value.details()
