"""Whatever comes in: a tensor or a proper refusal, never anything else."""

import contextlib
import json

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2

from deploy.serving.json_examples import fill_examples
from deploy.serving.json_request import fill_predict_request, fill_signature_name, parse_body
from deploy.serving.json_response import predict_body
from deploy.serving.status import ServingError
from deploy.serving.tensors import fill_proto, to_array

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["instances", "inputs", "signature_name", "examples", "context", "a", "b", "b64"])
BODIES = st.dictionaries(KEYS, JSON | st.lists(st.dictionaries(KEYS, JSON, max_size=3), max_size=3), max_size=4)
TYPES = st.lists(st.integers(0, 25), min_size=1, max_size=2)


def sent(body):
    """As a client that escapes everything sends it, lone surrogates too."""
    return json.dumps(body).encode()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64) | BODIES.map(sent), TYPES)
def test_bodies_become_tensors_or_errors(body, types):
    inputs = {name: meta_graph_pb2.TensorInfo(dtype=number) for name, number in zip("ab", types, strict=False)}
    request = predict_pb2.PredictRequest()
    refusal = None
    try:
        document = parse_body(body)
        fill_signature_name(document, request)
        rows = fill_predict_request(document, inputs, request)
        for name, number in zip("ab", types, strict=False):
            assert request.inputs[name].dtype == number
        predict_body(request.inputs, rows)
    except ServingError as error:
        refusal = error
    assert refusal is None or refusal.http_status in (400, 501)


@settings(max_examples=200, deadline=None)
@given(BODIES.map(sent))
def test_bodies_become_examples_or_errors(body):
    request = classification_pb2.ClassificationRequest()
    refusal = None
    try:
        document = parse_body(body)
        fill_signature_name(document, request)
        fill_examples(document, request.input)
    except ServingError as error:
        refusal = error
    assert refusal is None or refusal.http_status == 400


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 30),
    st.lists(st.integers(-1, 5), max_size=3),
    st.binary(max_size=32),
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
    st.lists(st.binary(max_size=4), max_size=4),
)
def test_tensors_are_read_or_refused(dtype, dims, content, numbers, strings):
    proto = tensor_pb2.TensorProto(dtype=dtype, tensor_content=content, int_val=numbers, half_val=numbers)
    proto.string_val.extend(strings)
    for size in dims:
        proto.tensor_shape.dim.add().size = size
    try:
        array = to_array(proto)
    except ValueError:
        return
    assert array.shape == tuple(dims)
    written = tensor_pb2.TensorProto()
    fill_proto(array, written)
    assert to_array(written).tobytes() == array.tobytes() or array.dtype == object


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_bytes_that_parse_as_a_tensor_are_read_or_refused(data):
    with contextlib.suppress(DecodeError, ValueError):
        to_array(tensor_pb2.TensorProto.FromString(data))
