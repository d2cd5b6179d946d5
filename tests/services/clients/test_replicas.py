"""A generator's client over the replicas behind a name: all are used, by turns, while healthy."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from roundsmith.clients import GeneratorClient
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings
from roundsmith.generator.bench_replay import ReplayEngine
from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.generator.model_info import ModelInfo
from roundsmith.generator.service import GeneratorServicer
from roundsmith.serve import Binding, listening
from roundsmith.types import Completion, CompletionDelta, GenerateItem, Sampling
from roundsmith.v1 import generator_pb2_grpc
from tests.services.clients.names import Names, name_server

STEP_S = 0.002


class Noting(ReplayEngine):
    """Notes the items that it is asked for."""

    def __init__(self) -> None:
        super().__init__(STEP_S)
        self.asked: list[str] = []
        self.told = 0

    def describe(self) -> ModelInfo:
        self.told += 1
        return super().describe()

    async def generate(self, item: GenerateItem) -> AsyncGenerator[Completion | CompletionDelta]:
        self.asked.append(item.item_id)
        async for told in super().generate(item):
            yield told


@dataclass
class Service:
    """A headless Service: replicas at 127.0.0.1, .2, .3 and one port; those that run have a
    record.
    """

    names: Names
    port: int = 0
    engines: dict[str, Noting] = field(default_factory=dict)
    running: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def start(self, address: str) -> None:
        """Starts a replica, and tells its address."""
        engine = self.engines[address] = Noting()
        serve = ServeSettings(host=address, port=self.port, drain_s=5.0)
        servicer = GeneratorServicer(engine, serve, GeneratorMetrics(engine))
        binding = Binding(
            "roundsmith.v1.GeneratorService",
            lambda server: generator_pb2_grpc.add_GeneratorServiceServicer_to_server(
                servicer, server
            ),
        )
        self.running[address] = AsyncExitStack()
        found = await self.running[address].enter_async_context(listening([binding], serve))
        self.port = int(found["address"].rpartition(":")[2])
        self.names.addresses = [*self.names.addresses, address]

    async def stop(self, address: str) -> None:
        """As a pod that is asked to end: NOT_SERVING, what runs is answered, then it is gone."""
        self.names.addresses = [one for one in self.names.addresses if one != address]
        await self.running.pop(address).aclose()

    def shares(self) -> dict[str, int]:
        """How many items each replica was asked for since this was asked last."""
        counts = {address: len(engine.asked) for address, engine in self.engines.items()}
        for engine in self.engines.values():
            engine.asked.clear()
        return counts


@asynccontextmanager
async def headless(*addresses: str) -> AsyncIterator[tuple[Service, GeneratorClient]]:
    """A Service with these replicas, and a client of its name, which is connected to all."""
    async with name_server() as (names, server):
        service = Service(names)
        try:
            for address in addresses:
                await service.start(address)
            target = f"dns://{server}/generator.models.svc:{service.port}"
            async with open_channel(target) as channel:
                client = GeneratorClient(channel)
                await connected(client, list(service.engines.values()))
                yield service, client
                await client.stream.close()
        finally:
            for stack in service.running.values():
                await stack.aclose()


async def connected(client: GeneratorClient, engines: Sequence[Noting]) -> None:
    """Returns when each has been asked by a call, which goes to those that are connected by turns:
    a stream that is opened before stays with the others. On a busy machine they come up one after
    another.
    """
    before = [engine.told for engine in engines]
    async with asyncio.timeout(300):
        while any(e.told == told for e, told in zip(engines, before, strict=True)):
            await client.model()


async def draw(client: GeneratorClient, prefix: str, count: int) -> None:
    """Draws so many items at once; each is answered once, with all its tokens."""
    items = [GenerateItem(f"{prefix}{i}", (1,), Sampling(10), 0) for i in range(count)]
    for (completion,) in await asyncio.gather(*map(client.generate, items)):
        assert len(completion.token_ids) == 10


ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def test_every_replica_behind_a_name_has_its_share() -> None:
    async def play() -> None:
        async with headless(ONE, TWO, THREE) as (service, client):
            await draw(client, "a", 120)
            shares = service.shares()
            assert sum(shares.values()) == 120
            assert min(shares.values()) >= 30  # two of the eight streams, at fifteen each

    asyncio.run(play())


def test_items_of_a_replica_that_drains_or_ends_go_to_the_others() -> None:
    async def play() -> None:
        async with headless(ONE, TWO, THREE) as (service, client):
            drawing = asyncio.create_task(draw(client, "a", 120))
            await asyncio.sleep(0.01)
            await service.stop(TWO)
            await drawing
            service.shares()
            await draw(client, "b", 80)
            shares = service.shares()
            assert (shares[TWO], shares[ONE] + shares[THREE]) == (0, 80)
            assert min(shares[ONE], shares[THREE]) >= 10

    asyncio.run(play())
