"""What a caller is told when something failed: the error that was raised, or that it was a bug."""

import logging
from typing import Any

import grpc

from roundsmith.errors import RoundsmithError
from roundsmith.wire.status import to_status

log = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES = 1200
"""The message crosses twice, escaped, in trailers that gRPC drops beyond 8 KiB."""


def as_failure(error: Exception) -> RoundsmithError:
    """The error itself where it is one of ours; anything else is logged with its trace and
    named.
    """
    if isinstance(error, RoundsmithError):
        return error
    log.error("a call failed", exc_info=error)
    return RoundsmithError(f"internal error: {type(error).__name__}: {error}")


async def abort(context: Any, error: Exception) -> None:
    """Ends the call with the status of the error; a message too long for trailers is cut."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    status = to_status(as_failure(error))
    status.message = _cut(status.message)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    trailer = ("grpc-status-details-bin", status.SerializeToString())
    await context.abort(code, status.message, (trailer,))


def _cut(message: str) -> str:
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= _MAX_MESSAGE_BYTES:
        return message
    return encoded[:_MAX_MESSAGE_BYTES].decode("utf-8", "ignore") + " ..."
