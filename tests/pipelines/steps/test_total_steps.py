"""The control takes as many optimizer steps as lie between the first model and the checkpoint."""

import asyncio
from pathlib import Path

import pytest

from roundsmith.lab.splits import tasks
from roundsmith.platform.local import LocalPlatform
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.steps import run_step
from roundsmith.steps.context import Made, reference
from roundsmith.store import EXAMPLES
from roundsmith.types import Split
from tests.pipelines.steps.contexts import context

pytestmark = pytest.mark.slow
STAGE = {"epochs": 1, "batch_size": 2, "warmup_steps": 2}


def test_steps_of_earlier_rounds_count_for_the_control(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"style": "completion", "training": STAGE}
    ctx = context(tmp_path, recipe_config=settings)
    style = CompletionStyle()
    rows = [
        gold_example(task, style.code(task, task.description), "    return 1", "gift")
        for task in tasks(Split.TRAIN)[:6]
    ]

    async def kept(number: int) -> str:
        async def make() -> Made:
            return Made([ctx.store.write_rows(EXAMPLES, rows[:number])], {"rows": number})

        return reference(await ctx.once("select", 1, {"number": number}, (), make))

    async def play() -> tuple[list[int], list[int]]:
        first, of = await run_step(ctx, "load_model"), await run_step(ctx, "load_tasks")
        one = await run_step(ctx, "train", rows=await kept(4), model=first, tasks=of)
        two = await run_step(ctx, "train", rows=await kept(6), model=one, tasks=of)
        gold = await kept(4)
        control = await run_step(ctx, "train", rows=gold, model=first, tasks=of, like=two)
        assert isinstance(ctx.platform, LocalPlatform)
        await ctx.platform.close()
        stats = [ctx.manifest(ref).stats for ref in (one, two, control)]
        return [s["steps"] for s in stats], [s["total_steps"] for s in stats]

    steps, totals = asyncio.run(play())
    assert steps == [2, 3, 5]
    assert totals == [2, 5, 5]
    assert caplog.text.count("more optimizer steps than the 2 of the warm-up, saw 2:") == 1
