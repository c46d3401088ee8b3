"""Runs in an environment of its own, with `ovmsclient`; says as JSON what it was told."""

import json
import sys

import numpy as np
from ovmsclient import make_grpc_client, make_http_client
from ovmsclient.tfs_compat.base.errors import InvalidInputError, ModelNotFoundError

grpc_target, rest_target = sys.argv[1:]
inputs = {"review": [b"a good dress", b"bad"], "age": np.array([34.0, 0.0], np.float32)}
found = {}
for name, client in (("grpc", make_grpc_client(grpc_target)), ("http", make_http_client(rest_target))):
    told = found[name] = {}
    told["status"] = client.get_model_status("reviews", 1)
    metadata = client.get_model_metadata("reviews", 1)
    if "metadata" in metadata:  # over HTTP it hands on what TF Serving's own format says
        metadata = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    told["inputs"] = sorted(metadata["inputs"])
    told["outputs"] = sorted(metadata["outputs"])
    try:
        client.get_model_status("m")
    except ModelNotFoundError as error:
        told["unknown"] = str(error)
grpc_client = make_grpc_client(grpc_target)
outputs = grpc_client.predict(inputs, "reviews", 1)
found["labels"] = [label.decode() for label in np.asarray(outputs["label"]).tolist()]
found["probabilities"] = np.round(np.asarray(outputs["probabilities"], float), 4).tolist()
try:
    grpc_client.predict({"review": [b"a"]}, "reviews", 1)
except InvalidInputError as error:
    found["refused"] = str(error)
print(json.dumps(found))
