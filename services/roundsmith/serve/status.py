"""Errors to `google.rpc.Status` and back: the same class on both sides of the wire."""

import inspect

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import (
    error_details_pb2,  # type: ignore[attr-defined]  # stubs lack it
    status_pb2,
)
from roundsmith import errors
from roundsmith.errors import Overloaded, RoundsmithError

DOMAIN = "roundsmith.dev"
_CLASSES = {
    name: cls
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, RoundsmithError)
}


def to_status(error: RoundsmithError) -> status_pb2.Status:
    """The status of an error: its code, its message, ErrorInfo, and RetryInfo when it is
    Overloaded.
    """
    status = status_pb2.Status(code=_code(error).value[0], message=str(error))
    reason = error_details_pb2.ErrorInfo(reason=type(error).__name__, domain=DOMAIN)
    status.details.add().Pack(reason)
    if isinstance(error, Overloaded):
        delay = Duration(nanos=0)
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def from_status(status: status_pb2.Status) -> RoundsmithError:
    """The error that a status was made from; one of another server becomes its code's nearest
    class.
    """
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    cls = _CLASSES.get(info.reason) or _by_code(status.code)
    if cls is Overloaded:
        seconds = retry.retry_delay.ToNanoseconds() / 1e9
        return Overloaded(status.message, seconds or 1.0)
    return cls(status.message)


def _code(error: RoundsmithError) -> grpc.StatusCode:
    return grpc.StatusCode[error.status]


def _by_code(code: int) -> type[RoundsmithError]:
    match code:
        case 3:
            return errors.ConfigError
        case 5:
            return errors.UnknownName
        case 8:
            return errors.Overloaded
        case 14:
            return errors.Unavailable
    return errors.EngineError
