"""The errors of the server, and how gRPC and HTTP see them.

    ServingError
    ├── InvalidArgumentError       gRPC 3   HTTP 400
    ├── FailedPreconditionError    gRPC 9   HTTP 400
    ├── OutOfRangeError            gRPC 11  HTTP 400
    ├── NotFoundError              gRPC 5   HTTP 404
    ├── AlreadyExistsError         gRPC 6   HTTP 409
    ├── AbortedError               gRPC 10  HTTP 409
    ├── ResourceExhaustedError     gRPC 8   HTTP 429
    ├── CancelledError             gRPC 1   HTTP 499
    ├── UnknownError               gRPC 2   HTTP 500
    ├── InternalError              gRPC 13  HTTP 500
    ├── DataLossError              gRPC 15  HTTP 500
    ├── PermissionDeniedError      gRPC 7   HTTP 403
    ├── UnauthenticatedError       gRPC 16  HTTP 401
    ├── UnimplementedError         gRPC 12  HTTP 501
    ├── UnavailableError           gRPC 14  HTTP 503
    └── DeadlineExceededError      gRPC 4   HTTP 504

Codes are those of `tensorflow.error.Code`, which are those of gRPC. Nothing here imports TensorFlow.
"""

from typing import ClassVar

MAX_MESSAGE_BYTES = 1024
"""gRPC messages are cut here (`grpc_status_util.cc`); HTTP bodies are not."""


class ServingError(Exception):
    """An answer other than OK; `code` and `name` as in `tensorflow.error.Code`."""

    code: ClassVar[int] = 2
    name: ClassVar[str] = "UNKNOWN"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class InvalidArgumentError(ServingError):
    code, name, http_status = 3, "INVALID_ARGUMENT", 400


class FailedPreconditionError(ServingError):
    code, name, http_status = 9, "FAILED_PRECONDITION", 400


class OutOfRangeError(ServingError):
    code, name, http_status = 11, "OUT_OF_RANGE", 400


class NotFoundError(ServingError):
    code, name, http_status = 5, "NOT_FOUND", 404


class AlreadyExistsError(ServingError):
    code, name, http_status = 6, "ALREADY_EXISTS", 409


class AbortedError(ServingError):
    code, name, http_status = 10, "ABORTED", 409


class ResourceExhaustedError(ServingError):
    code, name, http_status = 8, "RESOURCE_EXHAUSTED", 429


class CancelledError(ServingError):
    code, name, http_status = 1, "CANCELLED", 499


class UnknownError(ServingError):
    code, name, http_status = 2, "UNKNOWN", 500


class InternalError(ServingError):
    code, name, http_status = 13, "INTERNAL", 500


class DataLossError(ServingError):
    code, name, http_status = 15, "DATA_LOSS", 500


class PermissionDeniedError(ServingError):
    code, name, http_status = 7, "PERMISSION_DENIED", 403


class UnauthenticatedError(ServingError):
    code, name, http_status = 16, "UNAUTHENTICATED", 401


class UnimplementedError(ServingError):
    code, name, http_status = 12, "UNIMPLEMENTED", 501


class UnavailableError(ServingError):
    code, name, http_status = 14, "UNAVAILABLE", 503


class DeadlineExceededError(ServingError):
    code, name, http_status = 4, "DEADLINE_EXCEEDED", 504


_BY_CODE: dict[int, type[ServingError]] = {error.code: error for error in ServingError.__subclasses__()}


def error_from_code(code: int, message: str) -> ServingError:
    """Makes the error of a `tensorflow.error.Code` number; unknown numbers become UNKNOWN."""
    return _BY_CODE.get(code, UnknownError)(message)


def grpc_message(message: str) -> str:
    """Cuts a message the way the C++ server does: 1024 bytes, then `...TRUNCATED`.

    A character that the cut would split is left out, because a gRPC message is UTF-8.
    """
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return message
    return encoded[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore") + "...TRUNCATED"
