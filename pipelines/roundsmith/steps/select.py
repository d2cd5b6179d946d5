"""Selection: the pair builder applies the recipe's rule to every group."""

import asyncio
from collections.abc import Iterator

from roundsmith.steps.banned import Banned
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EXAMPLES, GROUPS, PAIRS, Manifest
from roundsmith.types import Example, Group, Pair, Row, Split, Task


async def select(ctx: Context, groups: str, model: str, tasks: str) -> str:
    """The training rows: an object of examples and one of pairs, in the order of the tasks; without
    those that hold the text of a held-out task, where the recipe says so.
    """
    scored, task_set = ctx.manifest(groups), ctx.manifest(tasks)
    name = ctx.recipe.name
    config = ctx.choices
    settings = {**ctx.recipe_key(), "seed": ctx.config.seed}

    async def make() -> Made:
        services = await ctx.services(ctx.manifest(model))
        flight = asyncio.Semaphore(ctx.config.tasks_in_flight)
        items = list(ctx.store.read_all(GROUPS, scored))
        done = 0

        async def build(group: Group) -> list[Row]:
            nonlocal done
            async with flight:
                rows = await services.pair_builder.build(name, config, ctx.config.seed, group)
            done += 1
            ctx.progress("select", done, len(items), "")
            return list(rows)

        built = await asyncio.gather(*(build(group) for group in items))
        banned = Banned.of(_held_out(ctx, task_set)) if ctx.recipe.decontaminates else Banned()
        kept = [[row for row in part if not banned.holds(row)] for part in built]
        dropped = sum(map(len, built)) - sum(map(len, kept))
        rows = [row for part in kept for row in part]
        examples = [row for row in rows if isinstance(row, Example)]
        pairs = [row for row in rows if isinstance(row, Pair)]
        objects = [ctx.store.write_rows(EXAMPLES, examples), ctx.store.write_rows(PAIRS, pairs)]
        gold = sum(not row.provenance.parents for row in rows)
        measured = dict(ctx.recipe.measure(zip(items, kept, strict=True), ctx.config.seed))
        if ctx.recipe.decontaminates:
            measured["rows dropped for held-out text"] = float(dropped)
        stats = {
            "rows": len(rows),
            "gold": gold,
            "selected": len(rows) - gold,
            "measured": measured,
        }
        return Made(objects, stats)

    parents = (scored, task_set) if ctx.recipe.decontaminates else (scored,)
    return reference(await ctx.once("select", 2, settings, parents, make))


def _held_out(ctx: Context, tasks: Manifest) -> list[Task]:
    return [task for split in (Split.GATE, Split.FINAL) for task in tasks_of(ctx, tasks, split)]


async def select_gold(ctx: Context, rows: str) -> str:
    """The control's rows: those that imitate a reference, without what the model wrote."""
    chosen = ctx.manifest(rows)

    def gold() -> Iterator[Example]:
        for row in ctx.store.read_all(EXAMPLES, chosen):
            if not row.provenance.parents:
                yield row

    async def make() -> Made:
        ref = ctx.store.write_rows(EXAMPLES, gold())
        return Made([ref], {"rows": ref.rows, "gold": ref.rows, "selected": 0})

    return reference(await ctx.once("gold", 2, {}, (chosen,), make))
