"""The corpus that writers and controls are trained on: what is held out is not in it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundsmith.recipes.inverse_instruct import InverseInstruct, InverseInstructConfig
from roundsmith.recipes.styles import STYLE
from roundsmith.steps import run_step
from roundsmith.store import EXAMPLES
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


def test_an_answer_too_long_to_be_described_keeps_the_style_of_its_row() -> None:
    async def play() -> None:
        async with services() as found:
            task = replace(TASK, reference=f"{TASK.head}\n{LONG}\n")
            recipe = InverseInstruct(InverseInstructConfig(candidates=1, max_tokens=4))
            group = await recipe.sample(task, await session(found))
            assert (group.samples, group.task.meta[STYLE]) == ((), "completion")

    asyncio.run(play())
