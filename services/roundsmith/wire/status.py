"""Errors to `google.rpc.Status` and back: the same class on both sides of the wire."""

import inspect

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import (
    error_details_pb2,
    status_pb2,
)

from roundsmith import errors
from roundsmith.errors import Overloaded, RoundsmithError

DOMAIN = "roundsmith.dev"
OPENED = ("x-roundsmith-stream", "open")
"""Sent as soon as a stream is taken, so that a client knows a busy server from one out of reach."""
_CLASSES = {
    name: cls
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, RoundsmithError)
}


def to_status(error: RoundsmithError) -> status_pb2.Status:
    """The status of an error: its code, its message, ErrorInfo, and RetryInfo when it is
    Overloaded.
    """
    code: int = grpc.StatusCode[error.status].value[0]
    status = status_pb2.Status(code=code, message=str(error))
    reason = error_details_pb2.ErrorInfo(reason=type(error).__name__, domain=DOMAIN)
    status.details.add().Pack(reason)
    if isinstance(error, Overloaded):
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def from_status(status: status_pb2.Status) -> RoundsmithError:
    """The error that a status was made from; one of another server becomes its code's nearest
    class, and Overloaded only when it says when to try again.
    """
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retries = False
    for detail in status.details:
        detail.Unpack(info)
        retries = detail.Unpack(retry) or retries
    known = _CLASSES.get(info.reason) if info.domain == DOMAIN else None
    cls = known or (Overloaded if retries and status.code == 8 else _by_code(status.code))
    if cls is Overloaded:
        return Overloaded(status.message, retry.retry_delay.ToNanoseconds() / 1e9)
    return cls(status.message)


def _by_code(code: int) -> type[RoundsmithError]:
    """What gRPC itself answers with: RESOURCE_EXHAUSTED is a message that is too large."""
    match code:
        case 3 | 8:
            return errors.ConfigError
        case 5:
            return errors.UnknownName
        case 4 | 14:
            return errors.Unavailable
    return errors.EngineError
