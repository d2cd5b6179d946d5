"""Selection: the pair builder applies the recipe's rule to every group."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from roundsmith.errors import ConfigError
from roundsmith.steps.aside import Aside
from roundsmith.steps.chosen import ChosenRows
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.held_out import drops_texts, held_out_key, kept_apart, overlap_with
from roundsmith.store import EXAMPLES, GROUPS
from roundsmith.types import Example, Group, Row


async def select(ctx: Context, groups: str, model: str, tasks: str) -> str:
    """The training rows: an object of examples and one of pairs, in the order of the tasks, without
    those that are too near to a held-out task, which are a third object with the reasons. Held out
    are the tasks of gate and final, and those of files that must not get worse.
    """
    scored, task_set = ctx.manifest(groups), ctx.manifest(tasks)
    name = ctx.recipe.name
    config = ctx.choices
    apart = await kept_apart(ctx)
    settings = {
        **ctx.recipe_key(),
        "seed": ctx.config.seed,
        **held_out_key(ctx, apart),
    }

    async def make() -> Made:
        services = await ctx.services(ctx.manifest(model))
        overlap = overlap_with(ctx, task_set, apart)
        flight = asyncio.Semaphore(ctx.config.tasks_in_flight)
        done = 0

        async def build(group: Group) -> Sequence[Row]:
            nonlocal done
            async with flight:
                rows = await services.pair_builder.build(name, config, ctx.config.seed, group)
            done += 1
            ctx.progress("select", done, scored.rows, "")
            return rows

        measuring: Aside[tuple[Group, list[Row]], Mapping[str, float]] = Aside(
            lambda kept: ctx.recipe.measure(kept, ctx.config.seed)
        )
        with ChosenRows(ctx.store, overlap) as chosen, measuring:
            for ref in scored.of_kind(GROUPS.name):
                part = await asyncio.to_thread(list, ctx.store.read_rows(GROUPS, ref))
                built = await asyncio.gather(*map(build, part))
                kept = await asyncio.to_thread(chosen.add, part, built)
                await asyncio.to_thread(measuring.give, kept)
            measured = await asyncio.to_thread(measuring.result)
        return Made(chosen.objects, _stats(chosen, measured, drops_texts(ctx)))

    manifest = await ctx.once("select", 9, settings, (scored, task_set), make)
    if ctx.config.control and not manifest.stats["gold"]:
        raise ConfigError(
            f"control: expected gold rows, on which alone it is trained, saw none among "
            f"{manifest.stats['rows']} rows of {ctx.recipe.name}: run again with --no-control, or "
            "give tasks with references; a recipe that makes no gold rows says has_control = False"
        )
    return reference(manifest)


def _stats(
    chosen: ChosenRows, measured: Mapping[str, float], decontaminated: bool
) -> dict[str, object]:
    examples, pairs, dropped = (ref.rows for ref in chosen.objects)
    told = {"rows dropped for held-out text": float(dropped)} if decontaminated else {}
    return {
        "rows": examples + pairs,
        "gold": chosen.gold,
        "selected": examples + pairs - chosen.gold,
        "dropped": dropped,
        "measured": {**measured, **told},
    }


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
