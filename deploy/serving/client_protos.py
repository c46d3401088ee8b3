"""The messages that the client speaks, without TensorFlow.

`tensorflow_serving.apis.*_pb2` imports `tensorflow.core`, and with it all of TensorFlow (seconds, hundreds of
megabytes). The few fields that a client needs are described here instead, in a descriptor pool of their own: on the
wire they are the same messages, and somebody who imports TensorFlow in the same process meets no trace of them.
A test compares every line with the originals.
"""

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, message_factory, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool

_FIELD = descriptor_pb2.FieldDescriptorProto

# Per message: field, number, type. `*` repeats; `map:` is a map from string; a capital letter begins a message.
MESSAGES: dict[str, str] = {
    "tensorflow.TensorShapeProto.Dim": "size 1 int64, name 2 string",
    "tensorflow.TensorShapeProto": "dim 2 *tensorflow.TensorShapeProto.Dim, unknown_rank 3 bool",
    "tensorflow.TensorProto": (
        "dtype 1 int32, tensor_shape 2 tensorflow.TensorShapeProto, tensor_content 4 bytes, half_val 13 *int32, "
        "float_val 5 *float, double_val 6 *double, int_val 7 *int32, string_val 8 *bytes, scomplex_val 9 *float, "
        "int64_val 10 *int64, bool_val 11 *bool, dcomplex_val 12 *double, uint32_val 16 *uint32, uint64_val 17 *uint64"
    ),
    "tensorflow.TensorInfo": "name 1 string, dtype 2 int32, tensor_shape 3 tensorflow.TensorShapeProto",
    "tensorflow.SignatureDef": (
        "inputs 1 map:tensorflow.TensorInfo, outputs 2 map:tensorflow.TensorInfo, method_name 3 string, "
        "defaults 4 map:tensorflow.TensorProto"
    ),
    "tensorflow.serving.ModelSpec": (
        "name 1 string, version 2 google.protobuf.Int64Value, version_label 4 string, signature_name 3 string"
    ),
    "tensorflow.serving.PredictRequest": (
        "model_spec 1 tensorflow.serving.ModelSpec, inputs 2 map:tensorflow.TensorProto, output_filter 3 *string"
    ),
    "tensorflow.serving.PredictResponse": (
        "model_spec 2 tensorflow.serving.ModelSpec, outputs 1 map:tensorflow.TensorProto"
    ),
    "tensorflow.serving.GetModelMetadataRequest": (
        "model_spec 1 tensorflow.serving.ModelSpec, metadata_field 2 *string"
    ),
    "tensorflow.serving.GetModelMetadataResponse": (
        "model_spec 1 tensorflow.serving.ModelSpec, metadata 2 map:google.protobuf.Any"
    ),
    "tensorflow.serving.SignatureDefMap": "signature_def 1 map:tensorflow.SignatureDef",
    "tensorflow.serving.GetModelStatusRequest": "model_spec 1 tensorflow.serving.ModelSpec",
    "tensorflow.serving.StatusProto": "error_code 1 int32, error_message 2 string",
    "tensorflow.serving.ModelVersionStatus": "version 1 int64, state 2 int32, status 3 tensorflow.serving.StatusProto",
    "tensorflow.serving.GetModelStatusResponse": "model_version_status 1 *tensorflow.serving.ModelVersionStatus",
}
"""Enums are described as int32, which they are on the wire."""

_SCALARS = {
    name: getattr(_FIELD, f"TYPE_{name.upper()}")
    for name in ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")
}


def _build_pool() -> DescriptorPool:
    pool = DescriptorPool()
    known = []
    for module in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        known.append(module.DESCRIPTOR.name)
    for package in ("tensorflow", "tensorflow.serving"):
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.client.proto", package=package, syntax="proto3", dependency=known
        )
        messages: dict[str, descriptor_pb2.DescriptorProto] = {}
        # Outer messages first: an inner one is added to its outer one.
        for full_name in sorted(MESSAGES, key=len):
            parent, _, name = full_name.rpartition(".")
            if parent == package:
                messages[full_name] = file.message_type.add(name=name)
            elif parent in messages:
                messages[full_name] = messages[parent].nested_type.add(name=name)
        for full_name, message in messages.items():
            for line in MESSAGES[full_name].split(", "):
                _add_field(message, full_name, *line.split(" "))
        pool.Add(file)
        known.append(file.name)
    return pool


def _add_field(message: descriptor_pb2.DescriptorProto, full_name: str, name: str, number: str, kind: str) -> None:
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("*"):
        field.label = _FIELD.LABEL_REPEATED
        kind = kind[1:]
    if kind.startswith("map:"):
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "", "key", "1", "string")
        _add_field(entry, "", "value", "2", kind.removeprefix("map:"))
        field.label = _FIELD.LABEL_REPEATED
        kind = f"{full_name}.{entry.name}"
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{kind}"


_POOL = _build_pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"tensorflow.serving.{name}"))


ModelSpec = _message("ModelSpec")
PredictRequest = _message("PredictRequest")
PredictResponse = _message("PredictResponse")
GetModelMetadataRequest = _message("GetModelMetadataRequest")
GetModelMetadataResponse = _message("GetModelMetadataResponse")
SignatureDefMap = _message("SignatureDefMap")
GetModelStatusRequest = _message("GetModelStatusRequest")
GetModelStatusResponse = _message("GetModelStatusResponse")
