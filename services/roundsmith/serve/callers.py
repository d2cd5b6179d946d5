"""Who calls, as far as the transport proves it."""

from collections.abc import Collection
from typing import Any

import grpc

from roundsmith.errors import NotAllowed
from roundsmith.tracing import TRACEPARENT

CLIENT_KEY = "x-roundsmith-client"


def caller_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Who calls: the mTLS subject, else the address with the metadata key x-roundsmith-client."""
    identities = context.peer_identities()
    if identities:
        return b",".join(identities).decode("utf-8", "replace")
    address = context.peer().rsplit(":", 1)[0]
    return f"{address}/{_told(context, CLIENT_KEY)}"


def traceparent_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The trace that a call says it belongs to; empty where it says none."""
    return _told(context, TRACEPARENT)


def _told(context: grpc.aio.ServicerContext[Any, Any], key: str) -> str:
    value = dict(context.invocation_metadata() or ()).get(key, "")
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def refuse_others(context: grpc.aio.ServicerContext[Any, Any], owners: Collection[str]) -> None:
    """Raises NotAllowed unless a name in the caller's certificate is one of the owners."""
    names = [name.decode("utf-8", "replace") for name in context.peer_identities() or ()]
    if not set(names) & set(owners):
        raise NotAllowed(
            f"expected one of the configured subjects, saw {', '.join(names) or 'no certificate'}: "
            "call as an owner of the weights"
        )
