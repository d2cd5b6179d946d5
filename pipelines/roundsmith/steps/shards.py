"""Many tasks at once, committed shard by shard, so that a kill loses at most what is under way and
memory holds the shards that are under way, not the data set.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, TypeVar

from roundsmith.steps.context import FOUND, Context, Made, Work
from roundsmith.steps.share import Share
from roundsmith.store import Manifest, RowKind, shard_step

Item = TypeVar("Item")
RowT = TypeVar("RowT")
OnItem = Callable[[Item], Awaitable[list[RowT]]]


@dataclass(frozen=True)
class Job(Generic[Item, RowT]):
    """What is done to many items, and what names it."""

    step: str
    version: int
    config: Mapping[str, Any]
    source: Manifest
    """Whose the items are."""
    beside: Sequence[Manifest]
    """What the rows are made from beside them, such as the model."""
    item_kind: RowKind[Item]
    kind: RowKind[RowT]
    items: Callable[[], Iterator[Item]]
    """Reads them, in their order; called when there is something to do."""
    num_items: int
    begin: Callable[[], AbstractAsyncContextManager[OnItem[Item, RowT]]]
    """Opens the work on one item; called when there is something to do."""
    count: Callable[[Sequence[RowT]], Mapping[str, int]]
    """The stats of a shard, which are summed."""
    label: str = ""
    """What progress is told under; the step's name by default."""
    seen: Callable[[], Mapping[str, Any]] = dict
    """What the work on an item sees of the source beside the item: part of a shard's key."""


async def sharded(ctx: Context, job: Job[Item, RowT]) -> Manifest:
    """Does a job on every item and commits each shard's rows, then the whole.

    At most `tasks_in_flight` items are under way, over all shards and in their order, so that a
    shard seldom waits for the slowest item of another; see `Shards`.
    """
    shards = Shards(ctx, job)
    parents = (job.source, *job.beside)
    return await ctx.once(
        job.step, job.version, shards.settings, parents, shards.whole, shards.pieces
    )


class Shards(Generic[Item, RowT]):
    """The shards of one job. Twice as many as fill `tasks_in_flight`, and two more, are read at a
    time.

    A shard is named by its items and by what its rows are made from beside them, not by the whole
    that it is a part of: a task file that has grown at its end leaves the shards before it as they
    are.
    """

    def __init__(self, ctx: Context, job: Job[Item, RowT]) -> None:
        self._ctx, self._job = ctx, job
        self._size = ctx.config.shard_tasks
        self.settings = {**job.config, "shard_tasks": self._size}
        self._flight = asyncio.Semaphore(ctx.config.tasks_in_flight)
        self._room = asyncio.Semaphore(2 + 2 * -(-ctx.config.tasks_in_flight // self._size))
        self._share = Share(ctx.platform)
        self._found: list[Manifest] = []
        self._done = 0

    async def whole(self) -> Made:
        """Every shard, found or made."""
        running: list[asyncio.Task[Manifest]] = []
        async with self._job.begin() as work, asyncio.TaskGroup() as tasks:
            named = self._named()
            while True:
                await self._room.acquire()
                if (piece := await asyncio.to_thread(next, named, None)) is None:
                    break
                task = tasks.create_task(self._shard(work, *piece))
                task.add_done_callback(lambda _: self._room.release())
                running.append(task)
        made = _joined([task.result() for task in running])
        return replace(made, earlier=_spent_before(self._found))

    def pieces(self) -> Iterator[Work]:
        """What names each shard."""
        return (piece for piece, _ in self._named())

    def _named(self) -> Iterator[tuple[Work, tuple[Item, ...]]]:
        """Each shard's name and items, in their order."""
        job = self._job
        config = {**self.settings, **job.seen()}
        whole = Work(
            shard_step(job.step), job.version, config, tuple(parent.hash for parent in job.beside)
        )
        for items in batched(job.items(), self._size):
            yield replace(whole, shard=job.item_kind.hash_of(items)), items

    async def _shard(
        self, work: OnItem[Item, RowT], piece: Work, items: Sequence[Item]
    ) -> Manifest:
        job, ran = self._job, False

        async def make() -> Made:
            nonlocal ran
            ran = True
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._one(work, item)) for item in items]
            rows = [row for task in running for row in task.result()]
            ref = await asyncio.to_thread(self._ctx.store.write_rows, job.kind, rows)
            return Made([ref], job.count(rows), {"share": self._share.taken()})

        manifest = await self._ctx.finished(piece, make)
        if not ran:
            self._found.append(manifest)
            self._tell(len(items), FOUND)
        return manifest

    async def _one(self, work: OnItem[Item, RowT], item: Item) -> list[RowT]:
        async with self._flight:
            rows = await work(item)
        self._tell(1)
        return rows

    def _tell(self, more: int, note: str = "") -> None:
        self._done += more
        name = self._job.label or self._job.step
        self._ctx.progress(name, self._done, self._job.num_items, note)


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """So many items at a time, in order."""
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


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
