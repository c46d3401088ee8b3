"""What is sent to two versions: the requests that a version is warmed up with, or rows as clients send them."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from deploy.serving.client_calls import METADATA, Calls
from deploy.serving.client_errors import PredictionError, error_of
from deploy.serving.model_server import Server
from deploy.serving.rollout import STABLE
from deploy.serving.rows import Row
from deploy.serving.warmup import REQUESTS_FILE


def recorded_requests(version_dir: Path) -> list[Any]:
    """The requests that travel with a version; none if it has no such file.

    Raises:
        ValueError: the file is broken.
    """
    file = version_dir / REQUESTS_FILE
    if not file.is_file():
        return []
    found: list[Any] = []
    try:
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            kind = log.WhichOneof("log_type")
            if kind in ("predict_log", "classify_log", "regress_log"):
                found.append(getattr(log, kind).request)
    except (tf.errors.OpError, DecodeError) as error:
        raise ValueError(f"The recorded requests {file} cannot be read: {error}") from error
    return found


def requests_of_rows(rows: Iterable[Row], server: Server, model_name: str, timeout_seconds: float) -> Iterator[Any]:
    """One Predict request per row, as a client of the stable version would send it.

    Raises:
        PredictionError: the stable version does not say what it reads.
        ValueError: a row is not what the stable version reads.
    """
    calls = Calls(model_name, None, STABLE, timeout_seconds, retries=0, batch_size=1)
    ask = server.channel.unary_unary(METADATA[0], None, METADATA[1].FromString)
    try:
        request = calls.metadata_request().SerializeToString()
        calls.learn("serving_default", ask(request, timeout=timeout_seconds))
    except grpc.RpcError as error:
        raise error_of(error) from error
    for row in rows:
        yield predict_pb2.PredictRequest.FromString(calls.predict_request("serving_default", [row]).SerializeToString())


def until(items: Iterable[Any], seconds: float) -> Iterator[Any]:
    """Items as they come, until they end or the time is over, even if the next one never comes."""
    deadline = time.monotonic() + seconds
    waiting: queue.Queue[tuple[Any, BaseException | None, bool]] = queue.Queue(maxsize=1)

    def read() -> None:
        try:
            for item in items:
                waiting.put((item, None, False))
        except (ValueError, OSError, PredictionError) as error:
            waiting.put((None, error, True))
        else:
            waiting.put((None, None, True))

    threading.Thread(target=read, daemon=True).start()
    while (left := deadline - time.monotonic()) > 0:
        try:
            item, error, ended = waiting.get(timeout=left)
        except queue.Empty:
            return
        if error is not None:
            raise error
        if ended:
            return
        yield item
