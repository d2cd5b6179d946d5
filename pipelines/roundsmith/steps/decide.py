"""The gate: is the checkpoint better on tasks that it was not trained on, and nowhere worse?"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from roundsmith.benchmarks.load import load_tasks as read_tasks
from roundsmith.statistics import Kept
from roundsmith.statistics import decide as gate
from roundsmith.steps.contamination import HeldOut, repeated
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.evaluate import evaluate, evaluation_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.own_work import kept_work, over_share
from roundsmith.steps.rules import KeepConfig
from roundsmith.store import EXAMPLES, PAIRS, TASKS, Manifest
from roundsmith.types import Split, Task


async def decide(
    ctx: Context, before: str, after: str, rows: str, tasks: str, model: str, checkpoint: str
) -> str:
    """The decision as stats: promoted, reasons, difference, interval, p-value and threshold.

    What must not get worse on tasks of its own is evaluated here, before and after.
    """
    old, new, chosen, task_set = (ctx.manifest(ref) for ref in (before, after, rows, tasks))
    own = [await _evaluated(ctx, kept, model, checkpoint) for kept in ctx.config.keep if kept.tasks]
    config = ctx.config
    settings = {
        "alpha": config.alpha,
        "rounds": config.rounds,
        "seed": config.seed,
        "keep": [kept.model_dump(mode="json") for kept in config.keep],
        "budget": config.budget.model_dump(mode="json", include={"tokens", "executions"}),
    }
    parents = (old, new, chosen, task_set, *(m for three in own for m in three))

    async def make() -> Made:
        work = _made(ctx, old, new, chosen, ctx.manifest(checkpoint), own)
        held = [
            *(t for split in (Split.GATE, Split.FINAL) for t in tasks_of(ctx, task_set, split)),
            *(t for kept_tasks, _, _ in own for t in tasks_of(ctx, kept_tasks, Split.GATE)),
        ]
        decision = await asyncio.to_thread(
            gate,
            evaluation_of(ctx, old),
            evaluation_of(ctx, new),
            alpha=config.alpha,
            planned_rounds=config.rounds,
            seed=config.seed,
            contaminated=await asyncio.to_thread(_repeated, ctx, chosen, task_set, held),
            kept=_kept(ctx, old, new, own),
            over_budget=over_share(ctx, work),
        )
        stats = asdict(decision)
        return Made((), stats | {"reasons": list(decision.reasons)})

    return reference(await ctx.once("decide", 5, settings, parents, make))


KeptTasks = tuple[Manifest, Manifest, Manifest]
"""Tasks that are kept apart for one promise, and their evaluations before and after."""


async def _evaluated(ctx: Context, kept: KeepConfig, model: str, checkpoint: str) -> KeptTasks:
    tasks = await _load_kept(ctx, kept.tasks)
    before = await evaluate(ctx, tasks=tasks, model=model, split=Split.GATE)
    after = await evaluate(ctx, tasks=tasks, model=checkpoint, split=Split.GATE)
    return ctx.manifest(tasks), ctx.manifest(before), ctx.manifest(after)


async def _load_kept(ctx: Context, source: str) -> str:
    """All tasks of a file, in the place of the split `gate`."""
    loaded = await asyncio.to_thread(read_tasks, source, skip_bad_rows=ctx.config.skip_bad_rows)

    async def make() -> Made:
        parts: dict[Split, Sequence[Task]] = dict.fromkeys(Split, ())
        parts[Split.GATE] = loaded.tasks
        objects = [ctx.store.write_rows(TASKS, part) for part in parts.values()]
        return Made(objects, {str(split): len(part) for split, part in parts.items()})

    return reference(await ctx.once("kept", 2, {"source": loaded.source_hash}, (), make))


def _kept(ctx: Context, old: Manifest, new: Manifest, own: Sequence[KeptTasks]) -> list[Kept]:
    found, rest = [], list(own)
    for kept in ctx.config.keep:
        before, after = rest.pop(0)[1:] if kept.tasks else (old, new)
        name = kept.tasks or str(Split.GATE)
        evaluations = evaluation_of(ctx, before), evaluation_of(ctx, after)
        found.append(Kept(name, *evaluations, kept.k, kept.margin))
    return found


def _made(
    ctx: Context,
    old: Manifest,
    new: Manifest,
    rows: Manifest,
    checkpoint: Manifest,
    own: Sequence[KeptTasks],
) -> dict[str, Manifest]:
    """All work up to the decision that takes tokens or executions, by the names of the round."""
    scored = _parent(ctx, rows, "score")
    groups = scored and _parent(ctx, scored, "sample")
    found = {
        "writer": groups and _parent(ctx, groups, "train"),
        "groups": groups,
        "scored": scored,
        "checkpoint": checkpoint,
        "gate_before": old,
        "gate_after": new,
        **kept_work((before, after) for _, before, after in own),
    }
    return {name: manifest for name, manifest in found.items() if manifest is not None}


def _parent(ctx: Context, manifest: Manifest, step: str) -> Manifest | None:
    wanted = set(manifest.parents)
    return next((m for m in ctx.store.manifests(step) if m.hash in wanted), None)


def _repeated(
    ctx: Context, rows: Manifest, tasks: Manifest, held: Sequence[Task]
) -> tuple[str, ...]:
    """The tasks of training rows that give a held-out task away."""
    held_out = HeldOut.of(held)
    trained = {task.task_id: task for task in tasks_of(ctx, tasks, Split.TRAIN)}
    examples, pairs = ctx.store.read_all(EXAMPLES, rows), ctx.store.read_all(PAIRS, rows)
    return repeated(examples, trained, held_out) + repeated(pairs, trained, held_out)
