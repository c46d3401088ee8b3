import grpc
import pytest
from tensorflow.core.protobuf import error_codes_pb2

from deploy.serving.status import ServingError, error_from_code, grpc_message

HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


@pytest.mark.parametrize("error", ServingError.__subclasses__())
def test_codes_are_those_of_tensorflow_and_grpc(error):
    assert error_codes_pb2.Code.Name(error.code) == error.name
    assert grpc.StatusCode[error.name].value[0] == error.code
    assert error.http_status == HTTP.get(error.name, error.http_status)
    assert type(error_from_code(error.code, "why")) is error


def test_an_unknown_code_is_unknown():
    assert str(error_from_code(77, "why")) == "UNKNOWN: why"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024 + "...TRUNCATED"),
        ("x" * 1023 + "ż", "x" * 1023 + "...TRUNCATED"),
        ("\ud800", "\ud800"),
    ],
)
def test_messages_are_cut_between_characters(message, expected):
    assert grpc_message(message) == expected
