"""One item, or one call, with the trace that it belongs to."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from roundsmith import tracing
from roundsmith.clients.lanes import Lanes
from roundsmith.clients.stream import ItemStream, call_error


async def ask(stream: ItemStream[Any, Any] | Lanes[Any, Any], request: Any) -> list[Any]:
    """All answers to an item, in a span of their own that the server's follows."""
    name = type(request).__name__.removesuffix("StreamRequest")
    with tracing.span(f"roundsmith.{name}", "client") as here:
        request.traceparent = here
        return await stream.call(request)


async def follow(
    stream: ItemStream[Any, Any] | Lanes[Any, Any], request: Any
) -> AsyncGenerator[Any]:
    """The same, each answer as it comes."""
    name = type(request).__name__.removesuffix("StreamRequest")
    with tracing.span(f"roundsmith.{name}", "client") as here:
        request.traceparent = here
        async with aclosing(stream.follow(request)) as answers:
            async for answer in answers:
                yield answer


async def call_once(method: Any, request: Any, timeout_s: float, *, wait: bool = True) -> Any:
    """The answer of a method; raises the error that the server gave. With `wait` a server that is
    not there yet is waited for. A call that breaks is repeated as the channel's config says.
    """
    here = tracing.traceparent()
    metadata = ((tracing.TRACEPARENT, here),) if here else ()
    try:
        return await method(request, timeout=timeout_s, wait_for_ready=wait, metadata=metadata)
    except grpc.aio.AioRpcError as failure:
        raise call_error(failure) from failure
