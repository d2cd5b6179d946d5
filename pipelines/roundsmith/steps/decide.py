"""The gate: is the checkpoint really better on tasks that it was not trained on?"""

import asyncio
from dataclasses import asdict

from roundsmith.statistics import decide as gate
from roundsmith.steps.contamination import HeldOut, repeated
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.evaluate import evaluation_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EXAMPLES, PAIRS, Manifest
from roundsmith.types import Split


async def decide(ctx: Context, before: str, after: str, rows: str, tasks: str) -> str:
    """The decision as stats: promoted, reasons, difference, interval, p-value and threshold."""
    old, new, chosen, task_set = (ctx.manifest(ref) for ref in (before, after, rows, tasks))
    settings = {"alpha": ctx.config.alpha, "rounds": ctx.config.rounds, "seed": ctx.config.seed}

    async def make() -> Made:
        decision = await asyncio.to_thread(
            gate,
            evaluation_of(ctx, old),
            evaluation_of(ctx, new),
            alpha=ctx.config.alpha,
            planned_rounds=ctx.config.rounds,
            seed=ctx.config.seed,
            contaminated=await asyncio.to_thread(_repeated, ctx, chosen, task_set),
        )
        stats = asdict(decision)
        return Made((), stats | {"reasons": list(decision.reasons)})

    return reference(await ctx.once("decide", 2, settings, (old, new, chosen, task_set), make))


def _repeated(ctx: Context, rows: Manifest, tasks: Manifest) -> tuple[str, ...]:
    """The tasks of training rows that give a task of the gate or of `final` away."""
    held_out = HeldOut.of(
        [task for split in (Split.GATE, Split.FINAL) for task in tasks_of(ctx, tasks, split)]
    )
    trained = {task.task_id: task for task in tasks_of(ctx, tasks, Split.TRAIN)}
    examples, pairs = ctx.store.read_all(EXAMPLES, rows), ctx.store.read_all(PAIRS, rows)
    return repeated(examples, trained, held_out) + repeated(pairs, trained, held_out)
