"""Rows without gold leave a control nothing to be trained on."""

import asyncio
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError
from roundsmith.steps import run_step
from roundsmith.steps.context import Made, reference
from roundsmith.steps.held_out import held_out_key, kept_apart
from tests.pipelines.steps.contexts import context


@pytest.mark.parametrize(("gold", "control"), [(0, True), (0, False), (2, True)])
def test_a_control_without_gold_rows_is_refused_before_anything_is_trained(
    tmp_path: Path, gold: int, control: bool
) -> None:
    ctx = context(tmp_path, limit=2, eval_limit=1, control=control)

    async def selected() -> Made:
        return Made(stats={"gold": gold, "rows": 5})

    async def play() -> str:
        tasks, model = await run_step(ctx, "load_tasks"), await run_step(ctx, "load_model")
        settings = {
            **ctx.recipe_key(),
            "seed": ctx.config.seed,
            **held_out_key(ctx, await kept_apart(ctx)),
        }
        parents = (ctx.manifest(model), ctx.manifest(tasks))
        found = reference(await ctx.once("select", 9, settings, parents, selected))
        again = await run_step(ctx, "select", groups=model, model=model, tasks=tasks)
        assert again == found, "the rows that were found"
        return again

    if control and not gold:
        with pytest.raises(ConfigError, match=r"saw none among 5 rows of gift: .*--no-control"):
            asyncio.run(play())
    else:
        asyncio.run(play())
