"""Several streams of completions as one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from roundsmith.generator.requests import Told


async def merged(parts: Sequence[AsyncGenerator[Told]]) -> AsyncGenerator[Told]:
    """What several iterators tell, as they tell it; the first failure ends all."""
    told: asyncio.Queue[Told | asyncio.Task[None]] = asyncio.Queue()

    async def follow(part: AsyncGenerator[Told]) -> None:
        async with aclosing(part):
            async for one in part:
                told.put_nowait(one)

    tasks = [asyncio.create_task(follow(part)) for part in parts]
    for task in tasks:
        task.add_done_callback(told.put_nowait)
    try:
        left = len(tasks)
        while left:
            one = await told.get()
            if isinstance(one, asyncio.Task):
                one.result()
                left -= 1
            else:
                yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
