"""Selection: the pair builder applies the recipe's rule to every group."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from roundsmith.benchmarks.load import LoadedTasks
from roundsmith.benchmarks.load import load_tasks as read_tasks
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.overlap import Overlap
from roundsmith.store import DROPPED, EXAMPLES, GROUPS, PAIRS, DroppedRow, Manifest
from roundsmith.types import Example, Group, Pair, Row, Split, Task


async def select(ctx: Context, groups: str, model: str, tasks: str) -> str:
    """The training rows: an object of examples and one of pairs, in the order of the tasks, without
    those that are too near to a held-out task, which are a third object with the reasons. Held out
    are the tasks of gate and final, and those of files that must not get worse.
    """
    scored, task_set = ctx.manifest(groups), ctx.manifest(tasks)
    name = ctx.recipe.name
    config = ctx.choices
    kept_apart = await asyncio.to_thread(_kept_apart, ctx)
    settings = {
        **ctx.recipe_key(),
        "seed": ctx.config.seed,
        "contamination": ctx.config.contamination.model_dump(mode="json"),
        "keep": [loaded.source_hash for loaded in kept_apart],
    }

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
        held_out = [*_held_out(ctx, task_set), *(t for part in kept_apart for t in part.tasks)]
        trained = {task.task_id: task for task in tasks_of(ctx, task_set, Split.TRAIN)}
        texts = ctx.recipe.decontaminates
        kept, dropped = await asyncio.to_thread(
            _without_overlap, built, trained, Overlap(held_out, ctx.config.contamination, texts)
        )
        rows = [row for part in kept for row in part]
        examples = [row for row in rows if isinstance(row, Example)]
        pairs = [row for row in rows if isinstance(row, Pair)]
        objects = [
            ctx.store.write_rows(EXAMPLES, examples),
            ctx.store.write_rows(PAIRS, pairs),
            ctx.store.write_rows(DROPPED, dropped),
        ]
        gold = sum(not row.provenance.parents for row in rows)
        measured = dict(ctx.recipe.measure(zip(items, kept, strict=True), ctx.config.seed))
        if ctx.recipe.decontaminates:
            measured["rows dropped for held-out text"] = float(len(dropped))
        stats = {
            "rows": len(rows),
            "gold": gold,
            "selected": len(rows) - gold,
            "dropped": len(dropped),
            "measured": measured,
        }
        return Made(objects, stats)

    return reference(await ctx.once("select", 3, settings, (scored, task_set), make))


def _without_overlap(
    built: Sequence[Sequence[Row]], tasks: Mapping[str, Task], overlap: Overlap
) -> tuple[list[list[Row]], list[DroppedRow]]:
    """The rows that are kept, group by group, and why the others are not."""
    kept: list[list[Row]] = []
    dropped: list[DroppedRow] = []
    for part in built:
        found = [(row, overlap.dropped(row, tasks)) for row in part]
        kept.append([row for row, why in found if why is None])
        dropped += [why for _, why in found if why is not None]
    return kept, dropped


def _kept_apart(ctx: Context) -> list[LoadedTasks]:
    """The tasks of files that must not get worse."""
    skip = ctx.config.skip_bad_rows
    return [read_tasks(kept.tasks, skip_bad_rows=skip) for kept in ctx.config.keep if kept.tasks]


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
