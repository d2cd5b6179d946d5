"""How long a generator was busy: while any item was under way, once for several at a time."""

import asyncio
from collections.abc import AsyncIterator

from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.generator.model_info import ModelInfo
from roundsmith.types import Completion


class Idle:
    """An engine that has one slot."""

    running = waiting = 0

    def describe(self) -> ModelInfo:
        return ModelInfo("m", "0" * 64, "transformers", 256, 1, True, False, (), (), (), "float32")


async def takes(seconds: float) -> AsyncIterator[Completion]:
    """An item that is drawn for so long."""
    await asyncio.sleep(seconds)
    yield Completion(0, "", (), (), "stop", 1, "0" * 64)


def test_busy_is_the_time_with_items_under_way_and_not_their_sum() -> None:
    metrics = GeneratorMetrics(Idle())

    async def item(seconds: float) -> None:
        async for _ in metrics.watch(takes(seconds)):
            pass

    async def play() -> tuple[float, float]:
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(item(0.1), item(0.2), item(0.2))
        first = asyncio.get_running_loop().time() - begun
        await asyncio.sleep(0.3)
        begun = asyncio.get_running_loop().time()
        await item(0.1)
        return first, asyncio.get_running_loop().time() - begun

    first, second = asyncio.run(play())
    (busy,) = (c for c in metrics.collectors if "busy_seconds" in str(c))
    (sample,) = (s for m in busy.collect() for s in m.samples if s.name.endswith("_total"))
    assert 0.29 < sample.value <= first + second, "neither idle time nor each item's own"
