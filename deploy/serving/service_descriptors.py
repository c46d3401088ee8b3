"""Descriptors of the two services, for server reflection.

The modules of `tensorflow-serving-api` 2.19 that hold them (`prediction_service_pb2`, `model_service_pb2`) cannot be
imported with protobuf 4 or newer; the messages can. The services are described here, in a pool of their own.
"""

from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

PACKAGE = "tensorflow.serving"

METHODS: dict[str, dict[str, tuple[Any, Any]]] = {
    "PredictionService": {
        "Classify": (classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse),
        "Regress": (regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
        "Predict": (predict_pb2.PredictRequest, predict_pb2.PredictResponse),
        "MultiInference": (inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse),
        "GetModelMetadata": (
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
        ),
    },
    "ModelService": {
        "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse),
        "HandleReloadConfigRequest": (
            model_management_pb2.ReloadConfigRequest,
            model_management_pb2.ReloadConfigResponse,
        ),
    },
}
"""Request and response of every call, by service."""

_FILES = {"PredictionService": "prediction_service", "ModelService": "model_service"}

SERVICES = tuple(f"{PACKAGE}.{service}" for service in METHODS)
"""Full names."""


def service_descriptors() -> DescriptorPool:
    """A pool with both services, health, reflection, and all messages that they use."""
    pool = DescriptorPool()
    added: set[str] = set()
    for module in (health_pb2, reflection_pb2):
        _add(pool, module.DESCRIPTOR, added)
    for service, methods in METHODS.items():
        file = descriptor_pb2.FileDescriptorProto(
            name=f"tensorflow_serving/apis/{_FILES[service]}.proto", package=PACKAGE, syntax="proto3"
        )
        described = file.service.add(name=service)
        for method, messages in methods.items():
            request, response = (message.DESCRIPTOR for message in messages)
            described.method.add(name=method, input_type=f".{request.full_name}", output_type=f".{response.full_name}")
            for descriptor in (request, response):
                _add(pool, descriptor.file, added)
                if descriptor.file.name not in file.dependency:
                    file.dependency.append(descriptor.file.name)
        pool.Add(file)
    return pool


def _add(pool: DescriptorPool, file: FileDescriptor, added: set[str]) -> None:
    """Adds a file after those that it depends on."""
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    pool.AddSerializedFile(file.serialized_pb)
