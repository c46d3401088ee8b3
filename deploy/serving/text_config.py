"""The small text files of the server's flags (monitoring, batching, ssl), which the original's API package leaves out.

The text format does not look at package names, so that messages of our own read the original's files.
"""

from pathlib import Path
from typing import Any

from google.protobuf import message_factory, text_format

from deploy.serving.message_tables import build_pool
from deploy.serving.status import InvalidArgumentError

_INT64 = "google.protobuf.Int64Value"
_POOL = build_pool(
    {
        "attention.PrometheusConfig": "enable 1 bool, path 2 string",
        "attention.MonitoringConfig": "prometheus_config 1 attention.PrometheusConfig",
        "attention.BatchingParameters": (
            f"max_batch_size 1 {_INT64}, batch_timeout_micros 2 {_INT64}, max_enqueued_batches 3 {_INT64}, "
            f"num_batch_threads 4 {_INT64}, thread_pool_name 5 google.protobuf.StringValue, "
            "allowed_batch_sizes 6 *int64, pad_variable_length_inputs 7 bool"
        ),
        "attention.SSLConfig": "server_key 1 string, server_cert 2 string, custom_ca 3 string, client_verify 4 bool",
    }
)


def read_text_config(file: Path, message_name: str) -> Any:
    """Reads a file of protobuf text format.

    Args:
        file: Of a flag.
        message_name: `MonitoringConfig`, `BatchingParameters` or `SSLConfig`.

    Raises:
        InvalidArgumentError: The file cannot be read; the message names the line and the field.
    """
    message = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"attention.{message_name}"))()
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InvalidArgumentError(f"Invalid protobuf file: '{file}': {error}") from error
