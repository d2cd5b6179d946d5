"""Shards: committed one by one, found again, and never mistaken for shards of another size."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from roundsmith.hashing import content_hash
from roundsmith.lab.splits import tasks
from roundsmith.platform.local import LocalPlatform
from roundsmith.steps.context import Context
from roundsmith.steps.plan import NotDone, PlannedContext
from roundsmith.steps.shards import Job, Shards, sharded
from roundsmith.store import TASKS, Manifest, shard_step
from roundsmith.store.overlay import Overlay
from roundsmith.types import Split, Task
from tests.pipelines.steps.contexts import context

ITEMS = tasks(Split.GATE)[:7]


Begin = Callable[[], AbstractAsyncContextManager[Callable[[Task], Awaitable[list[Task]]]]]


def numbered(number: int) -> Task:
    """A task that is told from others by its id."""
    return replace(ITEMS[0], task_id=str(number))


def count(rows: Sequence[Task]) -> dict[str, int]:
    """What a shard's stats say."""
    return {"tasks": len(rows)}


def run(
    folder: Path, shard_tasks: int, refused: str = "", items: Sequence[Task] = ITEMS
) -> tuple[Manifest, list[str]]:
    """Shards of this size, and which items were worked on; work on `refused` fails when every other
    shard is committed.
    """
    ctx, worked = context(folder, shard_tasks=shard_tasks), []

    async def work(task: Task) -> list[Task]:
        worked.append(task.task_id)
        await asyncio.sleep(0)
        if task.task_id == refused:
            async with asyncio.timeout(300):
                while len(ctx.store.keys(shard_step("copy"))) < (len(items) - 1) // shard_tasks:
                    await asyncio.sleep(0.01)
            raise OSError(refused)
        return [task]

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        yield work

    made = asyncio.run(sharded(ctx, copied(ctx, items, begin)))
    assert list(ctx.store.read_all(TASKS, made)) == list(items)
    return made, worked


def copied(ctx: Context, items: Sequence[Task], begin: Begin) -> Job[Task, Task]:
    """A job that copies tasks, which a manifest of their own holds."""
    ref = ctx.store.write_rows(TASKS, items)
    source = ctx.store.commit(Manifest("tasks", content_hash(ref.hash), (ref,)))
    return Job(
        "copy", 1, {}, source, (), TASKS, TASKS, lambda: iter(items), len(items), begin, count
    )


def test_rows_are_whole_and_in_order_whatever_the_size_of_the_shards_before(
    tmp_path: Path,
) -> None:
    for size in (2, 3, 7, 5):
        made, worked = run(tmp_path, size)
        assert made.stats == {"tasks": 7}
        assert len(made.objects) == -(-7 // size)
        assert len(worked) == 7


def test_after_a_failure_finished_shards_are_found(tmp_path: Path) -> None:
    last = ITEMS[-1].task_id
    with pytest.raises(ExceptionGroup):
        run(tmp_path, 3, refused=last)
    _, worked = run(tmp_path, 3)
    assert worked == [last]
    assert run(tmp_path, 3)[1] == []


class Flaky(LocalPlatform):
    """Sends something again for each item."""

    sent_again = 0

    @property
    def retries(self) -> int:
        """Items that were sent again."""
        return self.sent_again


def test_retries_of_work_that_is_gone_on_with_are_told_of_all_that_it_is_made_of(
    tmp_path: Path,
) -> None:
    def copy(refused: str = "") -> Manifest:
        told = context(tmp_path, shard_tasks=2)
        platform = Flaky(told.config, tmp_path / "work")
        platform.sent_again = 100  # in a round before
        ctx = replace(told, platform=platform)

        async def work(task: Task) -> list[Task]:
            if task.task_id == refused:
                raise OSError(refused)
            platform.sent_again += 1
            return [task]

        @asynccontextmanager
        async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
            yield work

        ctx = replace(ctx, config=ctx.config.model_copy(update={"tasks_in_flight": 1}))
        return asyncio.run(sharded(ctx, copied(ctx, ITEMS[:4], begin)))

    with pytest.raises(ExceptionGroup):
        copy(refused=ITEMS[3].task_id)
    assert copy().cost["retries"] == 4


def test_only_shards_whose_items_are_others_are_made_again(
    tmp_path: Path,
) -> None:
    longer = tasks(Split.GATE)[:8]
    run(tmp_path, 3)
    assert run(tmp_path, 3, items=longer)[1] == [task.task_id for task in longer[6:]]
    told = replace(longer[1], description="another")
    assert len(run(tmp_path, 3, items=[longer[0], told, *longer[2:]])[1]) == 3


def test_a_plan_counts_the_shards_that_would_be_found(tmp_path: Path) -> None:
    run(tmp_path, 3)
    below = context(tmp_path, shard_tasks=3)
    store = Overlay(below.store, tmp_path / "scratch")
    planned = PlannedContext(store, below.config, 1, below.platform, lambda *_: None)

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        raise AssertionError("a plan does no work")
        yield

    job = copied(planned, tasks(Split.GATE)[:8], begin)
    with pytest.raises(NotDone) as told:
        asyncio.run(sharded(planned, job))
    assert told.value.shards_done == 2


def test_what_work_sees_beside_an_item_is_part_of_what_names_its_shard(tmp_path: Path) -> None:
    ctx = context(tmp_path, shard_tasks=3)

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        raise AssertionError("shards are named without any work")
        yield

    job = copied(ctx, ITEMS, begin)
    beside = ctx.store.commit(Manifest("model", content_hash("a model")))
    named = [
        [piece.key for piece in Shards(ctx, one).pieces()]
        for one in (job, replace(job, seen=lambda: {"shown": 1}), replace(job, beside=(beside,)))
    ]
    assert [len(keys) for keys in named] == [3, 3, 3]
    assert len({key for keys in named for key in keys}) == 9


def test_no_more_is_read_than_can_soon_be_under_way(tmp_path: Path) -> None:
    ctx = context(tmp_path, shard_tasks=2, tasks_in_flight=2)
    many = [numbered(number) for number in range(40)]
    finished, most, read = 0, 0, 0

    def items() -> Iterator[Task]:
        nonlocal read
        for task in many:
            read += 1
            yield task

    async def work(task: Task) -> list[Task]:
        nonlocal finished, most
        most = max(most, read - finished)
        await asyncio.sleep(0)
        finished += 1
        return [task]

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        yield work

    job = replace(copied(ctx, many, begin), items=items)
    made = asyncio.run(sharded(ctx, job))
    assert made.stats == {"tasks": 40}
    assert most <= 10, "four shards of two, and the one that waits for room"


def test_a_shard_is_of_one_attempt_and_kills_leave_the_lengths_as_they_are(tmp_path: Path) -> None:
    """A draw is named by its seed, and takes as long as it is; now and then a batch of another
    make-up gives another one, as on a GPU.
    """
    ctx = context(tmp_path, shard_tasks=5, tasks_in_flight=10)
    kills, attempt, goal = Random(1), 0, 0
    running: asyncio.Task[Manifest] | None = None

    def committed() -> int:
        return len(ctx.store.keys("copy-shard"))

    def length(seed: int, again: int) -> int:
        shifted = again if Random(f"{seed} {again}").random() < 0.05 else 0
        return 1 + int(Random(f"length {seed} {shifted}").expovariate(0.1))

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        async def work(task: Task) -> list[Task]:
            drawn = length(int(task.task_id), attempt)
            await asyncio.sleep(drawn / 2000)
            if committed() >= goal and attempt < 8:
                assert running is not None
                running.cancel()
            return [replace(ITEMS[0], task_id=f"{attempt}", description="x" * drawn)]

        yield work

    job = copied(ctx, [numbered(seed) for seed in range(200)], begin)

    async def play() -> Manifest:
        nonlocal attempt, goal, running
        while True:
            attempt, goal = attempt + 1, committed() + kills.randint(2, 5)
            running = asyncio.create_task(sharded(ctx, job))
            try:
                return await running
            except asyncio.CancelledError:
                continue

    made = asyncio.run(play())
    shards = [list(ctx.store.read_rows(TASKS, ref)) for ref in made.objects]
    attempts = [{task.task_id for task in shard} for shard in shards]
    assert all(len(one) == 1 for one in attempts)
    assert len(set.union(*attempts)) > 2, "kills came between shards"
    drawn = sorted(len(task.description) for shard in shards for task in shard)
    undisturbed = sorted(length(seed, 1) for seed in range(200))
    farthest = max(
        abs(bisect_right(drawn, at) - bisect_right(undisturbed, at)) for at in range(200)
    )
    assert farthest / 200 < 0.136, "two-sample Kolmogorov-Smirnov at 5 %"
