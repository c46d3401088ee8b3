"""What the serving benchmarks know of a pushed model: its newest version and the rows that were recorded with it."""

import base64
import json
from pathlib import Path
from typing import Any


def newest(base_path: Path) -> Path:
    """The directory of the newest version."""
    versions = [int(path.name) for path in base_path.iterdir() if path.name.isdigit()]
    if not versions:
        raise SystemExit(f"There is no version under {base_path}.")
    return base_path / str(max(versions))


def recorded_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of the requests that the trainer recorded for `serving_default`.

    Args:
        path: Of a version.

    Returns:
        Each by name of the input: an array `(1,)`.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    rows = []
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        if not request.inputs or request.model_spec.signature_name not in ("", "serving_default"):
            continue
        columns = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        for row in range(min(len(column) for column in columns.values())):
            rows.append({name: column[row : row + 1] for name, column in columns.items()})
    if not rows:
        raise SystemExit(f"No request for serving_default is recorded in {file}.")
    return rows


def recorded_answer(path: Path) -> bytes:
    """A PredictResponse of `serving_default`, of as few rows as were recorded with a version."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    file = path / "assets.extra" / "tf_serving_warmup_requests"
    logs = map(prediction_log_pb2.PredictionLog.FromString, tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    calls = [log.predict_log for log in logs if log.HasField("predict_log")]
    plain = [call for call in calls if call.request.model_spec.signature_name in ("", "serving_default")]
    return min((call.response.SerializeToString() for call in plain), key=len)


def write_requests(rows: list[dict[str, Any]], name: str, folder: Path) -> Path:
    """Writes rows as PredictRequests for `benchmarks.serving_load`."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    lines = []
    for row in rows:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        for column, value in row.items():
            request.inputs[column].CopyFrom(tf.make_tensor_proto(value))
        lines.append(base64.b64encode(request.SerializeToString()).decode())
    file = folder / f"{name}.grpc"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def write_bodies(rows: list[dict[str, Any]], name: str, folder: Path) -> Path:
    """Writes the texts of rows as bodies `{"text": …}` for `benchmarks.serving_load`; a row has one text."""
    texts = [next(iter(row.values()))[0].decode() for row in rows]
    file = folder / f"{name}.http"
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    return file
