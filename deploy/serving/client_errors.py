"""What a client raises, one class per status that a caller may want to tell apart.

PredictionError
├── InvalidRequestError    INVALID_ARGUMENT, OUT_OF_RANGE: the rows do not fit the model
├── NoSuchModelError       NOT_FOUND: no such model or version is served
├── PreconditionError      FAILED_PRECONDITION: no such signature, or not now
├── OverloadedError        RESOURCE_EXHAUSTED: the server takes no more at the moment
├── TimedOutError          DEADLINE_EXCEEDED
├── CancelledCallError     CANCELLED
├── UnreachableError       UNAVAILABLE, after all retries
├── RefusedError           UNAUTHENTICATED, PERMISSION_DENIED
├── NotSupportedError      UNIMPLEMENTED
└── ServerFaultError       everything else
"""

import grpc


class PredictionError(Exception):
    """The server did not answer with predictions; `status` is gRPC's name, `message` the server's text."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class InvalidRequestError(PredictionError):
    pass


class NoSuchModelError(PredictionError):
    pass


class PreconditionError(PredictionError):
    pass


class OverloadedError(PredictionError):
    pass


class TimedOutError(PredictionError):
    pass


class CancelledCallError(PredictionError):
    pass


class UnreachableError(PredictionError):
    pass


class RefusedError(PredictionError):
    pass


class NotSupportedError(PredictionError):
    pass


class ServerFaultError(PredictionError):
    pass


_BY_STATUS: dict[grpc.StatusCode, type[PredictionError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NoSuchModelError,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOutError,
    grpc.StatusCode.CANCELLED: CancelledCallError,
    grpc.StatusCode.UNAVAILABLE: UnreachableError,
    grpc.StatusCode.UNAUTHENTICATED: RefusedError,
    grpc.StatusCode.PERMISSION_DENIED: RefusedError,
    grpc.StatusCode.UNIMPLEMENTED: NotSupportedError,
}


def error_of(call: grpc.RpcError) -> PredictionError:
    """The exception of a failed call."""
    status = call.code()
    return _BY_STATUS.get(status, ServerFaultError)(status.name, call.details() or "")
