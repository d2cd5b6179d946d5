"""One item, or one call, with the trace that it belongs to."""

import asyncio
from typing import Any

import grpc

from roundsmith import tracing
from roundsmith.clients.stream import ItemStream, call_error

_ATTEMPTS, _WAIT_S = 4, 0.2
"""What a server that ends in the middle of a call is given; every such call may be repeated."""


async def ask(stream: ItemStream[Any, Any], request: Any) -> list[Any]:
    """All answers to an item, in a span of their own that the server's follows."""
    name = type(request).__name__.removesuffix("StreamRequest")
    with tracing.span(f"roundsmith.{name}", "client") as here:
        request.traceparent = here
        return await stream.call(request)


async def call_once(method: Any, request: Any, timeout_s: float) -> Any:
    """The answer of a method that may be called again; raises the error that the server gave."""
    here = tracing.traceparent()
    metadata = ((tracing.TRACEPARENT, here),) if here else ()
    for attempt in range(_ATTEMPTS):
        try:
            return await method(request, timeout=timeout_s, wait_for_ready=True, metadata=metadata)
        except grpc.aio.AioRpcError as failure:
            broke = failure.code() is grpc.StatusCode.UNAVAILABLE
            if not broke or attempt == _ATTEMPTS - 1:
                raise call_error(failure) from failure
            await asyncio.sleep(_WAIT_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")
