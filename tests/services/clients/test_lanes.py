"""Streams side by side: they are opened when all replicas have had time to connect."""

import asyncio
from typing import Any

import pytest

from roundsmith.clients.lanes import _OTHERS_S, Lanes


class Connecting:
    """A channel whose first connection comes up when it is told."""

    def __init__(self) -> None:
        self.first = asyncio.Event()

    async def channel_ready(self) -> None:
        await self.first.wait()


class Stream:
    """Notes when it is opened."""

    def __init__(self) -> None:
        self.opened_at: list[float] = []

    async def call(self, request: object) -> list[object]:
        self.opened_at.append(asyncio.get_running_loop().time())
        return []


@pytest.mark.parametrize("first_s", [0.0, 0.4])
def test_no_stream_is_opened_before_the_others_have_had_time_after_the_first_connection(
    first_s: float,
) -> None:
    async def play() -> None:
        clock = asyncio.get_running_loop().time
        channel: Any = Connecting()
        streams: list[Any] = [Stream() for _ in range(2)]
        lanes = Lanes(channel, streams)
        asked = [asyncio.create_task(lanes.call(0)) for _ in range(2)]
        for _ in range(20):  # in which it begins to wait for the first
            await asyncio.sleep(0)
        await asyncio.sleep(first_s)
        assert not any(stream.opened_at for stream in streams), "nobody is connected"
        channel.first.set()
        connected_at, others_s = clock(), max(_OTHERS_S, first_s)
        await asyncio.gather(*asked)
        assert min(at for stream in streams for at in stream.opened_at) >= connected_at + others_s

    asyncio.run(play())
