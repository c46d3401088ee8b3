"""Runs in an environment of its own, with `min-tfs-client`; says as JSON what it was told."""

import json
import sys

import grpc
import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

host, _, port = sys.argv[1].partition(":")
client = TensorServingClient(host, int(port))
inputs = {"review": np.array(["a good dress", "bad"]), "age": np.array([34.0, 0.0], np.float32)}
response = client.predict_request("reviews", inputs, timeout=10, model_version=1)
found = {
    "labels": [value.decode() for value in response.outputs["label"].string_val],
    "probabilities": np.round(tensor_proto_to_ndarray(response.outputs["probabilities"]).astype(float), 4).tolist(),
    "version": response.model_spec.version.value,
}
try:
    client.predict_request("m", inputs, timeout=10)
except grpc.RpcError as error:
    found["refused"] = [error.code().name, error.details()]
channel = grpc.insecure_channel(sys.argv[1])
status = get_model_status_pb2.GetModelStatusRequest()
status.model_spec.name = "reviews"
states = ModelServiceStub(channel).GetModelStatus(status, timeout=10).model_version_status
found["status"] = {entry.version: entry.state for entry in states}
metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
metadata.model_spec.name = "reviews"
answer = PredictionServiceStub(channel).GetModelMetadata(metadata, timeout=10)
signatures = get_model_metadata_pb2.SignatureDefMap()
answer.metadata["signature_def"].Unpack(signatures)
found["inputs"] = sorted(signatures.signature_def["serving_default"].inputs)
print(json.dumps(found))
