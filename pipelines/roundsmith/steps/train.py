"""Training: the rows become a checkpoint, stage by stage, in processes of its own."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from roundsmith.hashing import content_hash
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.session import Session
from roundsmith.recipes.stage import PREFERENCES, Stage
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.held_out import drops_texts, held_out_key, kept_apart, overlap_with
from roundsmith.steps.inputs import num_tasks, tasks_of
from roundsmith.steps.overlap import Overlap
from roundsmith.steps.slow_start import slow_start
from roundsmith.store import EXAMPLES, PAIRS, TASKS, Manifest
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredTraining
from roundsmith.training.schedule import highest_factor
from roundsmith.types import Example, Split, Task

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Tasks whose rows are in memory at once while they are held against what is held out."""


async def train(ctx: Context, rows: str, model: str, tasks: str, like: str = "") -> str:
    """The checkpoint after all stages of the recipe; `tasks` are asked by grpo alone.

    With `like`, another checkpoint, only the last stage is run, for as many optimizer steps as lie
    between the model that the run began with and that one, over all stages and promoted rounds: the
    control at an equal number of steps.
    """
    chosen, manifest, task_set = (ctx.manifest(ref) for ref in (rows, model, tasks))
    steps = ctx.manifest(like).stats["total_steps"] if like else 0
    stages = list(enumerate(ctx.recipe.stages()))
    for number, stage in stages[-1:] if like else stages:
        manifest = await _train(ctx, chosen, manifest, task_set, stage, number, steps)
    return reference(manifest)


async def writer(ctx: Context, tasks: str, model: str, first: str) -> str:
    """The model that writes, for a recipe with its own: the run's first model trained on the gold
    rows of the training tasks; in a later round the model that was promoted, as it is.
    """
    task_set, manifest = ctx.manifest(tasks), ctx.manifest(model)
    if manifest.hash != ctx.manifest(first).hash:
        return model
    rows = ctx.manifest(await corpus(ctx, tasks, model))
    for number, stage in enumerate(ctx.recipe.writer_stages()):
        manifest = await _train(ctx, rows, manifest, task_set, stage, number, 0)
    return reference(manifest)


async def corpus(ctx: Context, tasks: str, model: str) -> str:
    """The gold rows of all training tasks, in the style of the model, without those that `select`
    would drop too; nothing is drawn.
    """
    task_set, weights = ctx.manifest(tasks), ctx.manifest(model)
    apart = await kept_apart(ctx)
    settings = {
        "recipe": ctx.recipe.name,
        "style": ctx.recipe.config.style,
        "texts": drops_texts(ctx),
        **held_out_key(ctx, apart),
    }

    async def make() -> Made:
        services = await ctx.services(weights)
        session = await ctx.session(services, weights, ctx.recipe.name, ctx.round)
        overlap = await asyncio.to_thread(overlap_with, ctx, task_set, apart)
        waiting, total = tasks_of(ctx, task_set, Split.TRAIN), num_tasks(task_set, Split.TRAIN)
        done = dropped = 0
        with ctx.store.writer(EXAMPLES) as chosen:
            while part := await asyncio.to_thread(list, islice(waiting, AT_ONCE)):
                rows, num_dropped = await asyncio.to_thread(_gold_rows, part, session, overlap)
                for row in rows:
                    chosen.add(row)
                done, dropped = done + len(part), dropped + num_dropped
                ctx.progress("corpus", done, total, "")
        return Made([chosen.ref], {"rows": chosen.num_rows, "dropped": dropped})

    return reference(await ctx.once("corpus", 4, settings, (task_set, weights), make))


def _gold_rows(
    tasks: Sequence[Task], session: Session, overlap: Overlap
) -> tuple[list[Example], int]:
    """The gold rows of those tasks that have a reference, and how many were dropped beside them."""
    style, name = session.style, session.recipe
    rows = [
        (gold_example(task, style.code(task, task.description), style.gold(task), name), task)
        for task in tasks
        if task.reference is not None
    ]
    kept = [row for row, task in rows if overlap.dropped(row, {task.task_id: task}) is None]
    return kept, len(rows) - len(kept)


async def _train(
    ctx: Context,
    rows: Manifest,
    base: Manifest,
    tasks: Manifest,
    stage: Stage,
    number: int,
    steps: int,
) -> Manifest:
    settings = training_key(ctx, stage, number, steps)
    parents = (rows, base, tasks) if stage.objective == "grpo" else (rows, base)
    name = content_hash("training", settings, [parent.hash for parent in parents])

    earlier = base if number and base.step == "train" else None

    async def make() -> Made:
        request = training_request(ctx, name, rows, base, stage, steps, tasks)
        return await _made(ctx, request, base, earlier)

    manifest = await ctx.once("train", 3, settings, parents, make)
    await ctx.platform.committed(name)
    return manifest


def training_key(ctx: Context, stage: Stage, number: int, steps: int) -> dict[str, Any]:
    """The settings that a checkpoint depends on, beside its parents; of grpo those of the
    generator, too, which draws its completions, and what judges these.
    """
    drawn = {"rollouts": dict(ctx.platform.arithmetic), "judge": ctx.platform.judge}
    rollouts = drawn if stage.objective == "grpo" else {}
    return {
        "stage": stage.model_dump(mode="json"),
        "number": number,
        "seed": ctx.config.seed,
        "arithmetic": ctx.platform.training_arithmetic.key(),
        "steps": steps,
        **rollouts,
    }


async def _made(
    ctx: Context, request: StoredTraining, base: Manifest, earlier: Manifest | None
) -> Made:
    """The checkpoint; rows, tokens, loss and cost are of all stages, with those of `earlier`."""

    def tell(progress: Progress) -> None:
        begun()
        note = f"loss {progress.loss:.3f}, {progress.tokens_per_s:.0f} tokens/s"
        ctx.progress("train", progress.step, progress.of, note)

    began_s = time.monotonic()
    async with slow_start(ctx.progress, "start training") as begun:
        done = await ctx.platform.train(request, tell)
    result, took_s = done.result, time.monotonic() - began_s
    if told := short_training(request.stage, result.steps):
        log.warning("%s", told)
    before: Mapping[str, Any] = earlier.stats if earlier else {}
    cost: Mapping[str, Any] = earlier.cost if earlier else {}
    loss = list(before.get("loss", ()))
    offset = loss[-1][0] if loss else 0
    stats = {
        "weights_sha256": done.folder.weights_sha256,
        "steps": result.steps,
        "total_steps": base.stats.get("total_steps", 0) + result.steps,
        "rows": before.get("rows", 0) + result.num_rows,
        "dropped_rows": before.get("dropped_rows", 0) + result.num_dropped_rows,
        "trained_tokens": before.get("trained_tokens", 0) + result.tokens,
        "loss": [*loss, *([offset + step, value] for step, value in done.loss)],
    }
    stats |= {
        name: count
        for name in ("prompt_tokens", "sampled_tokens", "executions")
        if (count := before.get(name, 0) + getattr(result, name))
    }
    stored = ctx.store.folder_bytes(done.folder) + cost.get("bytes", 0)
    took = {name: cost[name] for name in ("seconds", "cpu_s", "retries") if name in cost}
    # Steps that were trained before this process asked for them are in the checkpoint, too.
    took["seconds"] = took.get("seconds", 0.0) + max(0.0, done.seconds - took_s)
    took["cpu_s"] = took.get("cpu_s", 0.0) + done.earlier_cpu_s
    return Made([done.folder.object], stats, {"bytes": stored}, took)


def short_training(stage: Stage, steps: int) -> str | None:
    """What is to be said of a training that ended within its warm-up; None of another."""
    reached = highest_factor(steps, stage.warmup_steps, stage.warmup_start_ratio)
    if reached == 1:
        return None
    what = f"at most {100 * reached:.0f} % of the learning rate was reached"
    if not reached:
        what = "the learning rate was 0 throughout, so that nothing was learnt"
    return (
        f"{stage.objective}: expected more optimizer steps than the {stage.warmup_steps} of the "
        f"warm-up, saw {steps}: {what}; give more rows or epochs, a smaller batch_size, or fewer "
        "warmup_steps"
    )


def training_request(
    ctx: Context,
    name: str,
    rows: Manifest,
    base: Manifest,
    stage: Stage,
    steps: int,
    tasks: Manifest | None = None,
) -> StoredTraining:
    """A stage as the training of a run: `steps` optimizer steps, or the stage's epochs where it
    is 0.
    """
    return StoredTraining(
        name=name,
        store=ctx.store.url,
        rows=rows.of_kind((PAIRS if stage.objective in PREFERENCES else EXAMPLES).name),
        tasks=tasks.of_kind(TASKS.name)[:1] if tasks and stage.objective == "grpo" else (),
        model=ctx.stored(base),
        stage=stage,
        steps=steps,
        seed=ctx.config.seed % 2**32,
        arithmetic=ctx.platform.training_arithmetic,
        trust_remote_code=ctx.config.trust_remote_code,
        # A step of grpo draws and runs programs: few are done again.
        checkpoint_every_steps=5 if stage.objective == "grpo" else 50,
    )
