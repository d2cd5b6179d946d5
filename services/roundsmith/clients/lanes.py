"""Several streams of items side by side, so that one client keeps all replicas of a service busy.

A stream stays with the replica that it was opened to; the channel opens each to the next one.
"""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

import grpc

from roundsmith.clients.stream import ItemRequest, ItemResponse, ItemStream

LANES = 8
"""Streams of a client: with fewer replicas than these, all are kept busy."""
_CONNECT_S, _OTHERS_S = 1.0, 0.1
"""How long the first replica is waited for, and then the others: at least so long, and as long as
it took itself, since what keeps one of them keeps all.
"""
Request = TypeVar("Request", bound=ItemRequest)
Response = TypeVar("Response", bound=ItemResponse)


class Lanes(Generic[Request, Response]):
    """As one `ItemStream`. Items of the same `key` go the same way, and share what is kept there;
    without a key an item goes where the fewest are under way.

    Replicas that start later are used when a stream is opened again.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        streams: Sequence[ItemStream[Request, Response]],
        key: Callable[[Request], bytes] | None = None,
    ) -> None:
        self._channel, self._streams, self._key = channel, streams, key
        self._under_way = [0] * len(streams)
        self._connected: asyncio.Task[None] | None = None

    @property
    def retries(self) -> int:
        """Items sent again, over all streams."""
        return sum(stream.retries for stream in self._streams)

    async def call(self, request: Request) -> list[Response]:
        """All answers to one item, as `ItemStream.call` gives them."""
        async with self._lane(request) as stream:
            return await stream.call(request)

    async def follow(self, request: Request) -> AsyncGenerator[Response]:
        """The answers to one item as they come, as `ItemStream.follow` gives them."""
        async with (
            self._lane(request) as stream,
            aclosing(stream.follow(request)) as answers,
        ):
            async for answer in answers:
                yield answer

    @contextlib.asynccontextmanager
    async def _lane(self, request: Request) -> AsyncIterator[ItemStream[Request, Response]]:
        """The stream that an item goes to, which counts it until the end of the block."""
        if self._connected is None:
            self._connected = asyncio.create_task(self._connect())
        await asyncio.shield(self._connected)
        if self._key is None:
            lane = self._under_way.index(min(self._under_way))
        else:
            lane = zlib.crc32(self._key(request)) % len(self._streams)
        self._under_way[lane] += 1
        try:
            yield self._streams[lane]
        finally:
            self._under_way[lane] -= 1

    async def _connect(self) -> None:
        """Once: what is opened as soon as one replica is there is all opened to that one."""
        with contextlib.suppress(TimeoutError):  # the streams say so if there is none
            clock = asyncio.get_running_loop().time
            began = clock()
            async with asyncio.timeout(_CONNECT_S):
                await self._channel.channel_ready()
            await asyncio.sleep(max(_OTHERS_S, clock() - began))

    async def close(self) -> None:
        """Ends the streams; items under way fail as Unavailable."""
        if self._connected is not None:
            self._connected.cancel()
            await asyncio.gather(self._connected, return_exceptions=True)
        await asyncio.gather(*(stream.close() for stream in self._streams))
