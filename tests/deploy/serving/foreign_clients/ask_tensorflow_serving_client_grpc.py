"""Runs in an environment of its own, with `tensorflow-serving-client-grpc`: all seven calls; answers as JSON."""

import json
import sys

import grpc
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

channel = grpc.insecure_channel(sys.argv[1])
predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
models = model_service_pb2_grpc.ModelServiceStub(channel)
found = {}

predict = predict_pb2.PredictRequest()
predict.model_spec.name, predict.model_spec.version.value = "reviews", 1
for name, dtype, field, values in (("review", 7, "string_val", [b"good", b"bad"]), ("age", 1, "float_val", [0, 0])):
    tensor = predict.inputs[name]
    tensor.dtype = dtype
    tensor.tensor_shape.dim.add().size = 2
    getattr(tensor, field).extend(values)
found["Predict"] = [value.decode() for value in predictions.Predict(predict, timeout=10).outputs["label"].string_val]

example = example_pb2.Example()
example.features.feature["x"].float_list.value.append(3.0)


def of_examples(request, signature):
    request.model_spec.name, request.model_spec.signature_name = "numbers", signature
    request.input.example_list.examples.append(example)
    return request


classified = predictions.Classify(of_examples(classification_pb2.ClassificationRequest(), "classify"), timeout=10)
found["Classify"] = [one.score for one in classified.result.classifications[0].classes]
regressed = predictions.Regress(of_examples(regression_pb2.RegressionRequest(), "regress"), timeout=10)
found["Regress"] = [one.value for one in regressed.result.regressions]

multi = inference_pb2.MultiInferenceRequest()
task = multi.tasks.add(method_name="tensorflow/serving/regress")
task.model_spec.name, task.model_spec.signature_name = "numbers", "regress"
multi.input.example_list.examples.append(example)
results = predictions.MultiInference(multi, timeout=10).results
found["MultiInference"] = [one.value for one in results[0].regression_result.regressions]

metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
metadata.model_spec.name = "reviews"
signatures = get_model_metadata_pb2.SignatureDefMap()
predictions.GetModelMetadata(metadata, timeout=10).metadata["signature_def"].Unpack(signatures)
found["GetModelMetadata"] = sorted(set(signatures.signature_def) - {"__saved_model_init_op"})

status = get_model_status_pb2.GetModelStatusRequest()
status.model_spec.name = "numbers"
found["GetModelStatus"] = [one.state for one in models.GetModelStatus(status, timeout=10).model_version_status]

try:
    models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=10)
except grpc.RpcError as error:
    found["HandleReloadConfigRequest"] = error.code().name
print(json.dumps(found))
