"""The gate: is the checkpoint better on tasks that it was not trained on, and nowhere worse?"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from roundsmith.benchmarks.load import load_tasks as read_tasks
from roundsmith.statistics import GateDecision, Kept
from roundsmith.statistics import decide as gate
from roundsmith.steps.contamination import HeldOut, repeated
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.evaluate import counted, evaluate
from roundsmith.steps.inputs import split_object
from roundsmith.steps.own_work import kept_work, over_share
from roundsmith.steps.rules import BudgetConfig, KeepConfig
from roundsmith.store import EXAMPLES, PAIRS, TASKS, Manifest, Store
from roundsmith.types import Split, Task

KeptTasks = tuple[Manifest, Manifest, Manifest]
"""Tasks that are kept apart for one promise, and their evaluations before and after."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the gate looks at."""

    before: Manifest
    after: Manifest
    rows: Manifest
    tasks: Manifest
    checkpoint: Manifest
    own: Sequence[KeptTasks]


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

    seen = Seen(old, new, chosen, task_set, ctx.manifest(checkpoint), own)

    async def make() -> Made:
        decision = await asyncio.to_thread(decided, ctx.store, settings, seen, ctx.round)
        return Made((), decision_stats(decision))

    return reference(await ctx.once("decide", 7, settings, parents, make))


def decided(store: Store, settings: Mapping[str, Any], seen: Seen, number: int) -> GateDecision:
    """What the gate says in round `number` by the settings of its step: a function of the store."""
    held = [
        *(t for split in (Split.GATE, Split.FINAL) for t in _tasks(store, seen.tasks, split)),
        *(t for kept_tasks, _, _ in seen.own for t in _tasks(store, kept_tasks, Split.GATE)),
    ]
    budget = BudgetConfig.model_validate(settings["budget"])
    return gate(
        counted(store, seen.before),
        counted(store, seen.after),
        alpha=settings["alpha"],
        planned_rounds=settings["rounds"],
        seed=settings["seed"],
        contaminated=_repeated(store, seen, held),
        kept=_kept(store, [KeepConfig.model_validate(one) for one in settings["keep"]], seen),
        over_budget=over_share(_made(store, seen), number, settings["rounds"], budget),
    )


def decision_stats(decision: GateDecision) -> dict[str, Any]:
    """A decision as its manifest keeps it."""
    return asdict(decision) | {"reasons": list(decision.reasons)}


async def _evaluated(ctx: Context, kept: KeepConfig, model: str, checkpoint: str) -> KeptTasks:
    tasks = await load_kept(ctx, kept.tasks)
    before = await evaluate(ctx, tasks=tasks, model=model, split=Split.GATE)
    after = await evaluate(ctx, tasks=tasks, model=checkpoint, split=Split.GATE)
    return ctx.manifest(tasks), ctx.manifest(before), ctx.manifest(after)


async def load_kept(ctx: Context, source: str) -> str:
    """All tasks of a file, in the place of the split `gate`."""
    loaded = await asyncio.to_thread(read_tasks, source, skip_bad_rows=ctx.config.skip_bad_rows)

    async def make() -> Made:
        parts: dict[Split, Sequence[Task]] = dict.fromkeys(Split, ())
        parts[Split.GATE] = loaded.tasks
        objects = [ctx.store.write_rows(TASKS, part) for part in parts.values()]
        return Made(objects, {str(split): len(part) for split, part in parts.items()})

    return reference(await ctx.once("kept", 3, {"source": loaded.source_hash}, (), make))


def _kept(store: Store, keep: Sequence[KeepConfig], seen: Seen) -> list[Kept]:
    found, rest = [], list(seen.own)
    for kept in keep:
        before, after = rest.pop(0)[1:] if kept.tasks else (seen.before, seen.after)
        name = kept.tasks or str(Split.GATE)
        evaluations = counted(store, before), counted(store, after)
        found.append(Kept(name, *evaluations, kept.k, kept.margin))
    return found


def _made(store: Store, seen: Seen) -> dict[str, Manifest]:
    """All work up to the decision that takes tokens or executions, by the names of the round."""
    scored = _parent(store, seen.rows, "score")
    groups = scored and _parent(store, scored, "sample")
    found = {
        "writer": groups and _parent(store, groups, "train"),
        "groups": groups,
        "scored": scored,
        "checkpoint": seen.checkpoint,
        "gate_before": seen.before,
        "gate_after": seen.after,
        **kept_work((before, after) for _, before, after in seen.own),
    }
    return {name: manifest for name, manifest in found.items() if manifest is not None}


def _parent(store: Store, manifest: Manifest, step: str) -> Manifest | None:
    wanted = set(manifest.parents)
    return next((m for m in store.manifests(step) if m.hash in wanted), None)


def _tasks(store: Store, tasks: Manifest, split: Split) -> Iterator[Task]:
    return store.read_rows(TASKS, split_object(tasks, split))


def _repeated(store: Store, seen: Seen, held: Sequence[Task]) -> tuple[str, ...]:
    """The tasks of training rows that give a held-out task away."""
    held_out = HeldOut.of(held)
    trained = {task.task_id: task for task in _tasks(store, seen.tasks, Split.TRAIN)}
    examples, pairs = store.read_all(EXAMPLES, seen.rows), store.read_all(PAIRS, seen.rows)
    return repeated(examples, trained, held_out) + repeated(pairs, trained, held_out)
