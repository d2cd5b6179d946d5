"""What makes arms alike: equally many distinct rows of each task, and the same held-out tasks."""

import asyncio
from dataclasses import replace
from pathlib import Path

from roundsmith.recipes.identities import example_id
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EXAMPLES, PAIRS
from roundsmith.store.overlay import Overlay
from roundsmith.types import Example, Provenance, Split
from tests.pipelines.steps.contexts import context


def row(task: str, text: str, *parents: str) -> Example:
    origin = Provenance(task_id=task, recipe="r", round=1, parents=parents)
    return Example(example_id("p", text, origin), "p", text, origin)


async def chosen(ctx: Context, *rows: Example) -> str:
    async def make() -> Made:
        objects = [ctx.store.write_rows(EXAMPLES, rows), ctx.store.write_rows(PAIRS, [])]
        return Made(objects, {"rows": len(rows), "measured": {"told": 1.0}})

    name = {"ids": [one.example_id for one in rows]}
    return reference(await ctx.once("select", 1, name, (), make))


def test_matched_rows_are_distinct_and_equally_many_of_each_task(tmp_path: Path) -> None:
    ctx = context(tmp_path)

    async def play() -> list[str]:
        first = await chosen(
            ctx,
            row("a", "gold"),
            row("a", "1", "s1"),
            row("a", "1", "s2"),
            row("a", "2", "s3"),
            row("a", "3", "s4"),
            row("b", "1", "s5"),
        )
        second = await chosen(ctx, row("a", "9", "t1"), row("a", "8", "t2"), row("c", "7", "t3"))
        group = {"arm_first": first, "arm_second": second}
        refs = [await run_step(ctx, "matched", rows=rows, **group) for rows in (first, second)]
        again = await run_step(ctx, "matched", rows=first, **group)
        assert again == refs[0]
        return refs

    one, two = (ctx.manifest(ref) for ref in asyncio.run(play()))
    kept = [(r.provenance.task_id, r.completion) for r in ctx.store.read_all(EXAMPLES, one)]
    assert kept == [("a", "gold"), ("a", "1"), ("a", "2")]
    assert [r.completion for r in ctx.store.read_all(EXAMPLES, two)] == ["9", "8"]
    assert one.stats == {"rows": 3, "gold": 1, "selected": 2, "measured": {"told": 1.0}}


def test_seeds_have_training_tasks_of_their_own_and_held_out_tasks_in_common(
    tmp_path: Path,
) -> None:
    ctx = context(tmp_path, limit=6, eval_limit=5)

    async def of(seed: int) -> str:
        mine = replace(ctx, config=ctx.config.model_copy(update={"seed": seed}))
        drawn, held = await run_step(mine, "load_tasks"), await run_step(ctx, "load_tasks")
        return await run_step(mine, "compared_tasks", drawn=drawn, held=held)

    manifests = [ctx.manifest(asyncio.run(of(seed))) for seed in (1, 2)]
    splits = {split: [list(tasks_of(ctx, m, split)) for m in manifests] for split in Split}
    assert splits[Split.TRAIN][0] != splits[Split.TRAIN][1]
    assert splits[Split.GATE][0] == splits[Split.GATE][1]
    assert splits[Split.FINAL][0] == splits[Split.FINAL][1]
    assert manifests[0].stats == {"train": 6, "gate": 5, "final": 5}


def test_a_plan_makes_tasks_of_what_lies_in_the_store_below(tmp_path: Path) -> None:
    ctx = context(tmp_path, limit=6, eval_limit=5)
    held = asyncio.run(run_step(ctx, "load_tasks"))
    above = Overlay(ctx.store, tmp_path / "scratch")
    planned = replace(ctx, store=above)
    made = planned.manifest(asyncio.run(run_step(planned, "compared_tasks", drawn=held, held=held)))
    assert len(list(tasks_of(planned, made, Split.FINAL))) == 5
    assert not above.kept(made)
    assert ctx.store.find(made.step, made.key) is None
