"""The messages that the client speaks, without TensorFlow.

`tensorflow_serving.apis.*_pb2` imports `tensorflow.core`, and with it all of TensorFlow (seconds, hundreds of
megabytes). The few fields that a client needs are described here instead, in a descriptor pool of their own: on the
wire they are the same messages, and somebody who imports TensorFlow in the same process meets no trace of them.
A test compares every line with the originals.
"""

from typing import Any

from google.protobuf import message_factory

from deploy.serving.message_tables import build_pool

_SOURCE = "tensorflow.serving.FileSystemStoragePathSourceConfig"

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
    f"{_SOURCE}.ServableVersionPolicy.Latest": "num_versions 1 uint32",
    f"{_SOURCE}.ServableVersionPolicy.All": "",
    f"{_SOURCE}.ServableVersionPolicy.Specific": "versions 1 *int64",
    f"{_SOURCE}.ServableVersionPolicy": (
        f"latest 100 {_SOURCE}.ServableVersionPolicy.Latest, all 101 {_SOURCE}.ServableVersionPolicy.All, "
        f"specific 102 {_SOURCE}.ServableVersionPolicy.Specific"
    ),
    _SOURCE: "file_system_poll_wait_seconds 3 int64",
    "tensorflow.serving.LogCollectorConfig": "type 1 string, filename_prefix 2 string",
    "tensorflow.serving.SamplingConfig": "sampling_rate 1 double",
    "tensorflow.serving.LoggingConfig": (
        "log_collector_config 1 tensorflow.serving.LogCollectorConfig, "
        "sampling_config 2 tensorflow.serving.SamplingConfig"
    ),
    "tensorflow.serving.ModelConfig": (
        "name 1 string, base_path 2 string, model_platform 4 string, "
        f"model_version_policy 7 {_SOURCE}.ServableVersionPolicy, version_labels 8 map:int64, "
        "logging_config 6 tensorflow.serving.LoggingConfig"
    ),
    "tensorflow.serving.ModelConfigList": "config 1 *tensorflow.serving.ModelConfig",
    "tensorflow.serving.ModelServerConfig": "model_config_list 1 tensorflow.serving.ModelConfigList",
    "tensorflow.serving.ReloadConfigRequest": "config 1 tensorflow.serving.ModelServerConfig",
    "tensorflow.serving.ReloadConfigResponse": "status 1 tensorflow.serving.StatusProto",
}

_POOL = build_pool(MESSAGES)


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
ModelServerConfig = _message("ModelServerConfig")
ReloadConfigRequest = _message("ReloadConfigRequest")
ReloadConfigResponse = _message("ReloadConfigResponse")
StatusProto = _message("StatusProto")
