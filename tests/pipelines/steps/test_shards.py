"""Shards: committed one by one, found again, and never mistaken for shards of another size."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from roundsmith.lab.splits import tasks
from roundsmith.steps.shards import Job, sharded
from roundsmith.store import TASKS, Manifest
from roundsmith.types import Split, Task
from tests.pipelines.steps.contexts import context

ITEMS = tasks(Split.GATE)[:7]


def count(rows: Sequence[Task]) -> dict[str, int]:
    """What a shard's stats say."""
    return {"tasks": len(rows)}


def run(folder: Path, shard_tasks: int, refused: str = "") -> tuple[Manifest, list[str]]:
    """Shards of this size, and which items were worked on; work on `refused` fails."""
    ctx, worked = context(folder, shard_tasks=shard_tasks), []

    async def work(task: Task) -> list[Task]:
        worked.append(task.task_id)
        await asyncio.sleep(0.05 if task.task_id == refused else 0)
        if task.task_id == refused:
            raise OSError(refused)
        return [task]

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        yield work

    job = Job("copy", 1, {}, (), TASKS, lambda: iter(ITEMS), len(ITEMS), begin, count)
    made = asyncio.run(sharded(ctx, job))
    assert list(ctx.store.read_all(TASKS, made)) == list(ITEMS)
    return made, worked


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


def test_no_more_is_read_than_can_soon_be_under_way(tmp_path: Path) -> None:
    ctx = context(tmp_path, shard_tasks=2, tasks_in_flight=2)
    finished, most, read = 0, 0, 0

    def items() -> Iterator[Task]:
        nonlocal read
        for _ in range(40):
            read += 1
            yield ITEMS[0]

    async def work(task: Task) -> list[Task]:
        nonlocal finished, most
        most = max(most, read - finished)
        await asyncio.sleep(0)
        finished += 1
        return [task]

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[Task], Awaitable[list[Task]]]]:
        yield work

    job = Job("copy", 1, {}, (), TASKS, items, 40, begin, count)
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
        return sum(1 for _ in tmp_path.rglob("*.json"))

    def length(seed: int, again: int) -> int:
        shifted = again if Random(f"{seed} {again}").random() < 0.05 else 0
        return 1 + int(Random(f"length {seed} {shifted}").expovariate(0.1))

    @asynccontextmanager
    async def begin() -> AsyncIterator[Callable[[int], Awaitable[list[Task]]]]:
        async def work(seed: int) -> list[Task]:
            drawn = length(seed, attempt)
            await asyncio.sleep(drawn / 2000)
            if committed() >= goal and attempt < 8:
                assert running is not None
                running.cancel()
            return [replace(ITEMS[0], task_id=f"{attempt}", description="x" * drawn)]

        yield work

    job = Job("draw", 1, {}, (), TASKS, lambda: iter(range(200)), 200, begin, count)

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
