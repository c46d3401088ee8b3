"""Replays the recorded requests of a SavedModel before it takes traffic (`saved_model_warmup_util.cc`)."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from deploy.serving.examples import classify, multi_inference, regress
from deploy.serving.predict import predict
from deploy.serving.session import Runner
from deploy.serving.status import DataLossError, InvalidArgumentError, UnimplementedError, error_from_code

REQUESTS_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def warm_up(path: str, signatures: Mapping[str, Any], runner: Runner) -> int:
    """Runs every recorded request once; a model without a record file needs none.

    Args:
        path: Directory of the SavedModel.
        signatures: Its SignatureDefs by name.
        runner: Its session.

    Returns:
        How many requests ran.

    Raises:
        ServingError: A record cannot be read or its request fails; such a model is not served.
    """
    requests_file = os.path.join(path, REQUESTS_FILE)
    if not os.path.isfile(requests_file):
        return 0
    count = 0
    for record in _records(requests_file):
        count += 1
        if count > MAX_RECORDS:
            raise InvalidArgumentError(
                f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {requests_file}"
            )
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError as error:
            raise InvalidArgumentError(f"Failed to parse warmup record: {record!r} from {requests_file}") from error
        _replay(log, signatures, runner)
    return count


def _records(requests_file: str) -> Iterator[bytes]:
    try:
        yield from tf.data.TFRecordDataset(requests_file).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise DataLossError(f"{error.message}. Please verify your warmup data is in TFRecord format.") from error
    except tf.errors.OpError as error:
        raise error_from_code(error.error_code, error.message) from error


def _replay(log: Any, signatures: Mapping[str, Any], runner: Runner) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        predict("warmup", 0, signatures, log.predict_log.request).run(runner)
    elif kind == "classify_log":
        classify("warmup", 0, signatures, log.classify_log.request).run(runner)
    elif kind == "regress_log":
        regress("warmup", 0, signatures, log.regress_log.request).run(runner)
    elif kind == "multi_inference_log":
        multi_inference(0, signatures, log.multi_inference_log.request).run(runner)
    else:
        raise UnimplementedError(f"Unsupported log_type for warmup: {kind}")
