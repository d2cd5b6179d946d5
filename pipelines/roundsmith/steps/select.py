"""Selection: the pair builder applies the recipe's rule to every group."""

import asyncio
from collections.abc import Iterator

from roundsmith.steps.context import Context, Made, reference
from roundsmith.store import EXAMPLES, GROUPS, PAIRS
from roundsmith.types import Example, Group, Pair, Row


async def select(ctx: Context, groups: str, model: str) -> str:
    """The training rows: an object of examples and one of pairs, in the order of the tasks."""
    scored = ctx.manifest(groups)
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
        rows = [row for part in built for row in part]
        examples = [row for row in rows if isinstance(row, Example)]
        pairs = [row for row in rows if isinstance(row, Pair)]
        objects = [ctx.store.write_rows(EXAMPLES, examples), ctx.store.write_rows(PAIRS, pairs)]
        gold = sum(not row.provenance.parents for row in rows)
        measured = ctx.recipe.measure(zip(items, built, strict=True), ctx.config.seed)
        stats = {
            "rows": len(rows),
            "gold": gold,
            "selected": len(rows) - gold,
            "measured": dict(measured),
        }
        return Made(objects, stats)

    return reference(await ctx.once("select", 2, settings, (scored,), make))


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
