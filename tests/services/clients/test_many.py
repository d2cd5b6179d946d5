"""Many items: as many at once as was said, by the server's own count, with progress."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from roundsmith.clients import GeneratorClient, Progress, StreamSettings, answers
from roundsmith.errors import ConfigError
from roundsmith.generator.bench_replay import ReplayEngine
from roundsmith.types import Completion, CompletionDelta, GenerateItem, Sampling
from tests.services.generator.serving import client_of, served


class Counting(ReplayEngine):
    """Notes how many items were asked for, and the most at once; refuses every tenth. None of the
    others ends before so many were under way together.
    """

    def __init__(self, together: int) -> None:
        super().__init__(step_s=0.001)
        self.asked = self.most = 0
        self._together, self._met = together, asyncio.Event()

    async def generate(self, item: GenerateItem) -> AsyncGenerator[Completion | CompletionDelta]:
        self.asked += 1
        if item.item_id.endswith("9"):
            raise ConfigError(f"item {item.item_id}: refused")
        async for told in super().generate(item):
            self.most = max(self.most, self.running)
            if self.most >= self._together:
                self._met.set()
            async with asyncio.timeout(120):
                await self._met.wait()
            yield told


@asynccontextmanager
async def counting(
    settings: StreamSettings | None = None, together: int = 1
) -> AsyncIterator[tuple[Counting, GeneratorClient]]:
    """The engine behind its servicer, and a client."""
    engine = Counting(together)
    async with served(engine) as address, client_of(address, settings=settings) as client:
        yield engine, client


def item(number: int) -> GenerateItem:
    """An item of ten tokens."""
    return GenerateItem(f"{number}", (1,), Sampling(10), 0)


def test_items_are_answered_few_at_once_and_progress_is_told() -> None:
    told: list[Progress] = []

    async def play() -> None:
        async with counting(together=2) as (engine, client):
            found = {}
            asked = map(item, range(40))
            async for one, answer in answers(client.generate, asked, 8, told.append):
                found[int(one.item_id)] = answer
            assert sorted(found) == list(range(40))
            refused = {number for number, answer in found.items() if not isinstance(answer, list)}
            assert refused == {9, 19, 29, 39}
            assert all(isinstance(found[number], ConfigError) for number in refused)
            assert 2 <= engine.most <= 8

    asyncio.run(play())
    assert [one.answered for one in told] == list(range(1, 41))
    assert (told[-1].asked, told[-1].failed) == (40, 4)
    assert all(one.asked - one.answered < 8 for one in told)


def test_a_caller_who_takes_no_answers_is_asked_for_no_more_items() -> None:
    async def play() -> None:
        async with counting() as (engine, client):
            endless = map(item, itertools.count())
            async with aclosing(answers(client.generate, endless, 8)) as found:
                for _ in range(3):
                    await anext(found)
                await asyncio.sleep(0.1)
                assert engine.asked <= 8 + 3
            while engine.running:
                await asyncio.sleep(0.01)

    asyncio.run(play())


def test_a_stream_sends_no_more_items_than_its_settings_say() -> None:
    async def play() -> None:
        # eight streams, one item each
        async with counting(StreamSettings(max_in_flight=1), together=8) as (engine, client):
            kept = [item(number) for number in range(60) if number % 10 != 9]
            await asyncio.gather(*map(client.generate, kept))
            assert (engine.asked, engine.most) == (54, 8)

    asyncio.run(play())
