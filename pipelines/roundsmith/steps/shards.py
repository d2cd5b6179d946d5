"""Many tasks at once, committed shard by shard, so that a kill loses at most what is under way."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypeVar

from roundsmith.steps.context import FOUND, Context, Made, Platform
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
    share = Share(ctx.platform)
    found: list[Manifest] = []
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
            return Made([ref], count(rows), {"share": share.taken()})

        manifest = await ctx.once(f"{step}-shard", version, settings, parents, make, number)
        if not ran:
            found.append(manifest)
            done += len(mine)
            ctx.progress(label or step, done, len(items), FOUND)
        return manifest

    async def whole() -> Made:
        numbers = range((len(items) + size - 1) // size)
        async with begin() as work, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(shard(work, number)) for number in numbers]
        made = _joined([task.result() for task in running])
        return replace(made, earlier=_spent_before(found))

    return await ctx.once(step, version, settings, parents, whole)


class Share:
    """What each shard adds to the cost of the whole: the seconds since the one before was done, so
    that the shares of many that are under way at once add up to the time that they took together.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._seconds, self._cpu_s = time.monotonic(), platform.cpu_s

    def taken(self) -> dict[str, float]:
        """What was spent since the last call, or since the beginning."""
        seconds, cpu_s = time.monotonic(), self._platform.cpu_s
        share = {"seconds": seconds - self._seconds}
        if cpu_s is not None and self._cpu_s is not None:
            share["cpu_s"] = cpu_s - self._cpu_s
        self._seconds, self._cpu_s = seconds, cpu_s
        return {name: round(value, 3) for name, value in share.items()}


def _spent_before(found: Sequence[Manifest]) -> dict[str, float]:
    """The shares of the shards that an earlier run of the step has left."""
    spent: Counter[str] = Counter()
    for manifest in found:
        spent.update(manifest.cost.get("share", {}))
    return dict(spent)


def _joined(shards: Sequence[Manifest]) -> Made:
    """The objects of all shards, and the sums of their stats."""
    stats: Counter[str] = Counter()
    for manifest in shards:
        stats.update(manifest.stats)
    return Made([ref for manifest in shards for ref in manifest.objects], dict(stats))
