"""What a caller is told when something failed: the error that was raised, or that it was a bug."""

import logging
from typing import Any

import grpc
from google.rpc import status_pb2

from roundsmith.errors import RoundsmithError
from roundsmith.wire.status import to_status

log = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES = 1200
"""The message crosses twice, escaped, in trailers that gRPC drops beyond 8 KiB."""
_MAX_ITEM_BYTES = 2**16
"""Of what a stream says of an item: a message may name what it saw, and a response that is larger
than gRPC takes would end the stream."""


def as_failure(error: Exception) -> RoundsmithError:
    """The error itself where it is one of ours; anything else is logged with its trace and
    named.
    """
    if isinstance(error, RoundsmithError):
        return error
    log.error("a call failed", exc_info=error)
    return RoundsmithError(f"internal error: {type(error).__name__}: {error}")


def status_of(error: Exception, most_bytes: int = _MAX_ITEM_BYTES) -> status_pb2.Status:
    """The status that a failure is answered by; a message of more bytes is cut."""
    status = to_status(as_failure(error))
    status.message = cut(status.message, most_bytes)
    return status


async def abort(context: Any, error: Exception) -> None:
    """Ends the call with the status of the error; a message too long for trailers is cut."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    status = status_of(error, _MAX_MESSAGE_BYTES)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    trailer = ("grpc-status-details-bin", status.SerializeToString())
    await context.abort(code, status.message, (trailer,))


def cut(message: str, most_bytes: int = _MAX_MESSAGE_BYTES) -> str:
    """The begin of a message that is longer than that, encoded."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return message
    return encoded[:most_bytes].decode("utf-8", "ignore") + " ..."
