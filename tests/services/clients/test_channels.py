"""What a channel does by itself: it calls again what may be called twice, and passes over a replica
that is not healthy.
"""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from roundsmith.clients.channels import _IDEMPOTENT, open_channel
from roundsmith.v1 import (
    executor_pb2,
    generator_admin_pb2,
    generator_pb2,
    pair_builder_pb2_grpc,
    scorer_admin_pb2,
    scorer_pb2,
)
from roundsmith.v1 import pair_builder_pb2 as pb2
from tests.services.clients.test_calls import Going

OF_ITEMS = {"Generate", "Score", "Execute", "Build"}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CALLS = 20


async def asked(channel: grpc.aio.Channel) -> None:
    """One call as a program makes it that has a stub alone."""
    stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
    await stub.ListRecipes(pb2.ListRecipesRequest(), timeout=300, wait_for_ready=True)


class Replica(Going):
    """A server of one method that counts its calls, and says how it is."""

    def __init__(self, num_failures: int = 0) -> None:
        super().__init__(grpc.StatusCode.UNAVAILABLE, num_failures)
        self.num_calls = 0
        self._health, self._server = health_aio.HealthServicer(), grpc.aio.server()

    async def start(self, health: int = SERVING) -> str:
        """Its address; it answers from now on, however it says that it is."""
        self.add(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self.says(health)
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def says(self, health: int) -> None:
        """Tells who watches its health."""
        await self._health.set("", health)

    async def stop(self) -> None:
        """It is gone."""
        await self._server.stop(None)

    async def _list_recipes(self, request: Any, context: Any) -> pb2.ListRecipesResponse:
        self.num_calls += 1
        return await super()._list_recipes(request, context)


def test_a_call_that_may_be_made_twice_is_made_four_times_by_the_channel() -> None:
    async def play() -> int:
        replica = Replica(num_failures=4)
        async with open_channel(await replica.start()) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="going"):
                await asked(channel)
        await replica.stop()
        return replica.num_calls

    assert asyncio.run(play()) == 4


def test_what_may_be_called_twice_is_every_unary_method_that_carries_no_item() -> None:
    files: list[FileDescriptor] = [
        module.DESCRIPTOR
        for module in (
            *(executor_pb2, generator_pb2, generator_admin_pb2),
            *(pb2, scorer_pb2, scorer_admin_pb2),
        )
    ]
    found = {
        (service.name, method.name)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        if not method.client_streaming and method.name not in OF_ITEMS
    }
    assert set(_IDEMPOTENT) == found


def test_a_replica_that_says_that_it_does_not_serve_is_asked_nothing() -> None:
    async def play() -> None:
        one, other = Replica(), Replica()
        target = f"ipv4:{await one.start()},{await other.start(NOT_SERVING)}"
        async with open_channel(target) as channel:
            for _ in range(CALLS):
                await asked(channel)
            assert (one.num_calls, other.num_calls) == (CALLS, 0)
            await other.says(SERVING)
            await one.says(NOT_SERVING)
            in_a_row = 0
            async with asyncio.timeout(120):
                while in_a_row < CALLS:
                    before = other.num_calls
                    await asked(channel)
                    in_a_row = in_a_row + 1 if other.num_calls > before else 0
        for replica in (one, other):
            await replica.stop()

    asyncio.run(play())
