"""Shards: committed one by one, found again, and never mistaken for shards of another size."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

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
