"""The corpus that writers and controls are trained on: what is held out is not in it."""

import asyncio
import gc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from roundsmith.recipes.inverse_instruct import InverseInstruct, InverseInstructConfig
from roundsmith.recipes.styles import STYLE
from roundsmith.steps import run_step
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.train import AT_ONCE
from roundsmith.store import EXAMPLES, Manifest
from roundsmith.types import Example, Split
from tests.pipelines.recipes.groups import TASK
from tests.pipelines.steps.contexts import context
from tests.pipelines.steps.test_too_long import LONG, Served, services, session


def test_rows_that_hold_a_held_out_text_are_not_in_the_corpus(tmp_path: Path) -> None:
    """Two-step bodies of the lab's held-out tasks are bodies of training tasks on other types."""

    async def play() -> list[tuple[int, int]]:
        async with services(tmp_path) as found:

            async def rows(**settings: Any) -> tuple[int, int]:
                told = context(tmp_path, limit=100, control=False, **settings)
                ctx = replace(told, platform=Served(tmp_path, found))
                model, tasks = await run_step(ctx, "load_model"), await run_step(ctx, "load_tasks")
                made = ctx.manifest(await run_step(ctx, "corpus", tasks=tasks, model=model))
                assert made.stats["rows"] == len(list(ctx.store.read_all(EXAMPLES, made)))
                return made.stats["rows"], made.stats["dropped"]

            return [
                await rows(recipe="rft"),
                await rows(recipe="inverse_instruct"),
                await rows(recipe="rft", contamination={"texts": True}),
            ]

    whole, own, asked = asyncio.run(play())
    assert whole == (100, 0)
    assert own == asked
    assert own[1] > 0
    assert sum(own) == 100


def test_rows_are_held_against_held_out_tasks_in_parts_that_leave_the_run_time_to_go_on(
    tmp_path: Path,
) -> None:
    told: list[tuple[str, int, int]] = []
    beats, beats_when_told, most_rows = 0, [0], 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    def progress(step: str, done: int, total: int, note: str) -> None:
        nonlocal most_rows
        if step == "corpus":
            told.append((step, done, total))
            beats_when_told.append(beats)
            most_rows = max(most_rows, sum(type(o) is Example for o in gc.get_objects()))

    async def play() -> Manifest:
        async with services(tmp_path) as found:
            bare = context(tmp_path, limit=3 * AT_ONCE - 50, control=False, recipe="rft")
            ctx = replace(bare, platform=Served(tmp_path, found), progress=progress)
            model, tasks = await run_step(ctx, "load_model"), await run_step(ctx, "load_tasks")
            heart = asyncio.create_task(beat())
            made = ctx.manifest(await run_step(ctx, "corpus", tasks=tasks, model=model))
            heart.cancel()
            rows = [row.provenance.task_id for row in ctx.store.read_all(EXAMPLES, made)]
            assert rows == [
                task.task_id for task in tasks_of(ctx, ctx.manifest(tasks), Split.TRAIN)
            ]
            return made

    before = sum(type(o) is Example for o in gc.get_objects())
    made, total = asyncio.run(play()), 3 * AT_ONCE - 50
    assert made.stats == {"rows": total, "dropped": 0}
    assert told == [("corpus", done, total) for done in (AT_ONCE, 2 * AT_ONCE, total)]
    assert all(one < other for one, other in pairwise(beats_when_told)), "the loop stood still"
    assert 0 < most_rows - before <= 2 * AT_ONCE, "a part, and the one before it"


def test_an_answer_too_long_to_be_described_keeps_the_style_of_its_row() -> None:
    async def play() -> None:
        async with services() as found:
            task = replace(TASK, reference=f"{TASK.head}\n{LONG}\n")
            recipe = InverseInstruct(InverseInstructConfig(candidates=1, max_tokens=4))
            group = await recipe.sample(task, await session(found))
            assert (group.samples, group.task.meta[STYLE]) == ((), "completion")

    asyncio.run(play())
