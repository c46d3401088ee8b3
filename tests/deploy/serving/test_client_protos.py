import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor import FieldDescriptor
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from deploy.serving import client_protos
from deploy.serving.tensors import fill_proto

ORIGINALS = predict_pb2.DESCRIPTOR.pool
IMPORTED = (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    prediction_log_pb2,
)  # and so in that pool
WIRE_TYPES = {FieldDescriptor.TYPE_ENUM: FieldDescriptor.TYPE_INT32}


def all_fields(descriptor):
    yield from ((descriptor, field) for field in descriptor.fields)
    for nested in descriptor.nested_types:
        yield from all_fields(nested)


@pytest.mark.parametrize("name", sorted(client_protos.MESSAGES))
def test_every_field_is_that_of_the_original(name):
    original = ORIGINALS.FindMessageTypeByName(name)
    ours = client_protos._POOL.FindMessageTypeByName(name)
    assert ours is not original
    for owner, field in all_fields(ours):
        theirs = ORIGINALS.FindMessageTypeByName(owner.full_name).fields_by_name[field.name]
        assert field.number == theirs.number
        assert field.type == WIRE_TYPES.get(theirs.type, theirs.type)
        assert field.is_repeated == theirs.is_repeated
        if field.message_type is not None:
            assert field.message_type.full_name == theirs.message_type.full_name


def test_the_originals_read_what_the_client_writes():
    ours = client_protos.PredictRequest()
    ours.model_spec.name = "m"
    ours.model_spec.version.value = 7
    fill_proto(np.array([b"a", b"\xff"], object), ours.inputs["text"])
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert theirs.model_spec.version.value == 7
    assert tf.make_ndarray(theirs.inputs["text"]).tolist() == [b"a", b"\xff"]
    assert client_protos.PredictRequest.FromString(theirs.SerializeToString()) == ours
