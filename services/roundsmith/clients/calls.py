"""One item, or one call, with the trace that it belongs to."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from roundsmith import tracing
from roundsmith.clients.lanes import Lanes
from roundsmith.clients.stream import ItemStream, broke, call_error

_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 2.0


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
    """The answer of an idempotent method; raises the error that the server gave. With `wait` a
    server that is not there yet is waited for, and one that goes away is asked again, or whoever
    comes in its place, until the time is over.
    """
    here = tracing.traceparent()
    metadata = ((tracing.TRACEPARENT, here),) if here else ()
    end, pause_s = time.monotonic() + timeout_s, _FIRST_PAUSE_S
    while True:
        try:
            return await method(
                request,
                timeout=max(end - time.monotonic(), 0.01),
                wait_for_ready=wait,
                metadata=metadata,
            )
        except grpc.aio.AioRpcError as failure:
            if not (wait and broke(failure)) or time.monotonic() + pause_s > end:
                raise call_error(failure) from failure
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)
