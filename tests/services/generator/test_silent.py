"""A decode that says nothing for longer than whatever lies between has patience for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from roundsmith.generator.bench_replay import ReplayEngine
from roundsmith.types import Completion, GenerateItem, Sampling
from roundsmith.v1 import generator_pb2, generator_pb2_grpc
from roundsmith.wire import to_message
from tests.services.generator.serving import client_of, served

pytestmark = pytest.mark.slow
PATIENCE_S = 45.0
"""After so long without a byte a relay forgets a connection."""
SILENT_S = 75.0
"""Longer than that, and than the 50 s in which a client finds that nobody is there any more."""


class Relay:
    """Hands bytes on between a client and a server, as a load balancer or a gateway does: it closes
    a connection that is silent for too long, and the first one it may swallow after `deaf_after_s`.
    """

    def __init__(self, server: str, deaf_after_s: float | None = None) -> None:
        self._host, _, self._port = server.rpartition(":")
        self._deaf_after_s = deaf_after_s
        self.connections = self.closed_for_silence = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        swallows = self._deaf_after_s if self.connections == 1 else None
        deaf_from = None if swallows is None else asyncio.get_running_loop().time() + swallows
        theirs, ours = await asyncio.open_connection(self._host, self._port)
        ways = ((reader, ours), (theirs, writer))
        self._spoken = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                for source, target in ways:
                    group.create_task(self._hand_on(source, target, deaf_from))
        except* (TimeoutError, ConnectionError):
            pass
        finally:
            for target in (ours, writer):
                target.close()

    async def _hand_on(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        deaf_from: float | None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout_at(self._spoken + PATIENCE_S):
                    heard = await source.read(2**16)
            except TimeoutError:
                if clock() >= self._spoken + PATIENCE_S:
                    self.closed_for_silence += 1
                    raise
                continue  # the other way was not silent
            if not heard:
                raise ConnectionError
            self._spoken = clock()
            if deaf_from is None or clock() < deaf_from:
                target.write(heard)
                await target.drain()


@asynccontextmanager
async def relayed(relay: Relay) -> AsyncIterator[str]:
    server = await asyncio.start_server(relay.take, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{host}:{port}"
    finally:
        server.close()


async def _heard(deaf_after_s: float | None) -> tuple[list[str], Relay]:
    """What a caller is told of one item over a relay, of an engine that is silent for long."""
    item = GenerateItem("item", (1,), Sampling(1, temperature=0.0), 0)
    async with served(ReplayEngine(SILENT_S)) as server:
        relay = Relay(server, deaf_after_s)
        async with relayed(relay) as address, client_of(address) as client:
            async with asyncio.timeout(4 * SILENT_S):
                told = [said async for said in client.told(item)]
    return [said.text for said in told if isinstance(said, Completion)], relay


async def _both() -> tuple[tuple[list[str], Relay], ...]:
    return tuple(await asyncio.gather(_heard(None), _heard(5.0)))


@pytest.fixture(scope="module")
def both() -> tuple[tuple[list[str], Relay], ...]:
    return asyncio.run(_both())


def test_a_decode_that_is_silent_for_long_keeps_its_connection(
    both: tuple[tuple[list[str], Relay], ...],
) -> None:
    told, relay = both[0]
    assert told == ["word "]
    assert (relay.connections, relay.closed_for_silence) == (1, 0)


def test_a_server_that_is_not_heard_any_more_is_reached_anew_and_tells_once(
    both: tuple[tuple[list[str], Relay], ...],
) -> None:
    told, relay = both[1]
    assert told == ["word "]
    assert relay.connections == 2


def test_a_caller_that_asks_a_silent_server_often_whether_it_is_there_is_not_sent_away() -> None:
    often = [("grpc.keepalive_time_ms", 1_000), ("grpc.http2.max_pings_without_data", 0)]
    item = GenerateItem("item", (1,), Sampling(1, temperature=0.0), 0)
    request = generator_pb2.GenerateRequest(request_id="r", item=to_message(item))

    async def ask() -> str:
        async with (
            served(ReplayEngine(8.0)) as address,
            grpc.aio.insecure_channel(address, options=often) as channel,
        ):
            stub = generator_pb2_grpc.GeneratorServiceStub(channel)
            (told,) = (await stub.Generate(request, timeout=600)).completions
            return str(told.text)

    assert asyncio.run(ask()) == "word "
