"""The gate: is the checkpoint really better on tasks that it was not trained on?"""

import asyncio
import json
from dataclasses import asdict

from roundsmith.recipes.contract import prompt_json
from roundsmith.recipes.styles import ChatStyle, CompletionStyle
from roundsmith.statistics import decide as gate
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.evaluate import evaluation_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EXAMPLES, Manifest
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
            contaminated=repeated_prompts(ctx, chosen, task_set),
        )
        stats = asdict(decision)
        return Made((), stats | {"reasons": list(decision.reasons)})

    return reference(await ctx.once("decide", 1, settings, (old, new, chosen, task_set), make))


def repeated_prompts(ctx: Context, rows: Manifest, tasks: Manifest) -> int:
    """Training rows whose prompt is, to the letter, that of a held-out task in either style."""
    held_out = {
        json.dumps(prompt_json(style.code(task, task.description)))
        for split in (Split.GATE, Split.FINAL)
        for task in tasks_of(ctx, tasks, split)
        for style in (CompletionStyle(), ChatStyle())
    }
    chosen = ctx.store.read_all(EXAMPLES, rows)
    return sum(json.dumps(prompt_json(row.prompt)) in held_out for row in chosen)
