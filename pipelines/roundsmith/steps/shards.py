"""Many tasks at once, committed shard by shard, so that a kill loses at most what is under way."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from roundsmith.steps.context import FOUND, Context, Made
from roundsmith.store import Manifest, RowKind

Item = TypeVar("Item")
RowT = TypeVar("RowT")


async def sharded(
    ctx: Context,
    step: str,
    version: int,
    config: Mapping[str, Any],
    parents: Sequence[Manifest],
    kind: RowKind[RowT],
    items: Sequence[Item],
    begin: Callable[[], AbstractAsyncContextManager[Callable[[Item], Awaitable[list[RowT]]]]],
    count: Callable[[Sequence[RowT]], Mapping[str, int]],
    label: str = "",
) -> Manifest:
    """Runs the work that `begin` opens on every item and commits each shard's rows, then the whole.

    `begin` is opened only when there is something to do; progress is told under `label`.

    At most `tasks_in_flight` items are under way, over all shards and in their order, so that no
    shard waits for the slowest item of another. Stats are the sums of `count` over shards.
    """
    size, flight = ctx.config.shard_tasks, asyncio.Semaphore(ctx.config.tasks_in_flight)
    settings = {**config, "shard_tasks": size}
    done = 0

    async def one(work: Callable[[Item], Awaitable[list[RowT]]], item: Item) -> list[RowT]:
        nonlocal done
        async with flight:
            rows = await work(item)
        done += 1
        ctx.progress(label or step, done, len(items), "")
        return rows

    async def shard(work: Callable[[Item], Awaitable[list[RowT]]], number: int) -> Manifest:
        nonlocal done
        mine = items[number * size : (number + 1) * size]
        ran = False

        async def make() -> Made:
            nonlocal ran
            ran = True
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(one(work, item)) for item in mine]
            rows = [row for task in running for row in task.result()]
            ref = await asyncio.to_thread(ctx.store.write_rows, kind, rows)
            return Made([ref], count(rows))

        manifest = await ctx.once(f"{step}-shard", version, settings, parents, make, number)
        if not ran:
            done += len(mine)
            ctx.progress(label or step, done, len(items), FOUND)
        return manifest

    async def whole() -> Made:
        numbers = range((len(items) + size - 1) // size)
        async with begin() as work, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(shard(work, number)) for number in numbers]
        return _joined([task.result() for task in running])

    return await ctx.once(step, version, settings, parents, whole)


def _joined(shards: Sequence[Manifest]) -> Made:
    """The objects of all shards, and the sums of their stats."""
    stats: Counter[str] = Counter()
    for manifest in shards:
        stats.update(manifest.stats)
    return Made([ref for manifest in shards for ref in manifest.objects], dict(stats))
