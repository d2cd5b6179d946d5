"""One client over several replicas: all are kept busy, and a prompt stays with one of them."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import grpc

from roundsmith.clients import ScorerClient
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.service import bindings
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.serve import listening
from roundsmith.serve.checkpoints import checkpoints_under
from roundsmith.serve.weights import Reloads
from roundsmith.types import Score, ScoreItem
from roundsmith.v1 import scorer_pb2, scorer_pb2_grpc
from roundsmith.wire import to_message

PROMPTS = [f"def task_{i}(a, b):" for i in range(24)]
ITEMS = [
    ScoreItem(f"{i}.{j}", prompt, f" return a + {j}")
    for i, prompt in enumerate(PROMPTS)
    for j in range(5)
]


class Counting(TransformersScorer):
    """A scorer that notes the prompts that it is asked about."""

    def __init__(self, settings: ScorerSettings) -> None:
        super().__init__(settings)
        self.prompts: list[object] = []

    async def score(self, item: ScoreItem) -> Score:
        self.prompts.append(item.prompt)
        return await super().score(item)


async def connected(channel: grpc.aio.Channel, replicas: Sequence[Counting]) -> None:
    """Returns when each has been asked by a call, which goes to those that are connected by turns:
    a stream that is opened before stays with the others. Then nothing is noted yet.
    """
    stub = scorer_pb2_grpc.ScorerServiceStub(channel)
    request = scorer_pb2.ScoreRequest(item=to_message(ITEMS[0]))
    async with asyncio.timeout(300):
        while not all(replica.prompts for replica in replicas):
            await stub.Score(request, timeout=300, wait_for_ready=True)
    for replica in replicas:
        replica.prompts.clear()


def test_replicas_share_the_work_and_a_prompt_stays_with_one(tiny: Path) -> None:
    async def play() -> None:
        serve = ServeSettings()
        replicas = [Counting(ScorerSettings(model=str(tiny))) for _ in range(2)]
        async with AsyncExitStack() as stack:
            addresses = []
            for replica in replicas:
                stack.callback(replica.close)
                reloads = Reloads(replica, checkpoints_under(None))
                offered = bindings(replica, serve, reloads)
                found = await stack.enter_async_context(listening(offered, serve))
                addresses.append(found["address"])
            target = "ipv4:" + ",".join(addresses)
            async with open_channel(target) as channel:
                await connected(channel, replicas)
                client = ScorerClient(channel)
                scores = await asyncio.gather(*map(client.score, ITEMS))
                alone = [await replicas[0].score(item) for item in ITEMS[:7]]
                await client.stream.close()
        assert list(scores[:7]) == alone
        asked = [replica.prompts for replica in replicas]
        del asked[0][-7:]
        assert sum(map(len, asked)) == len(ITEMS)
        assert min(map(len, asked)) > len(ITEMS) / 8
        assert not set(asked[0]) & set(asked[1])

    asyncio.run(play())
