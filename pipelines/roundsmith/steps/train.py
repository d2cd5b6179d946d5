"""Training: the rows become a checkpoint, stage by stage, in a process of its own."""

import asyncio
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from roundsmith.hashing import content_hash
from roundsmith.recipes.stage import Stage
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context, Made, reference
from roundsmith.store import EXAMPLES, Manifest
from roundsmith.training.job import TrainingJob
from roundsmith.training.progress import PROGRESS_FILE, Progress, read_progress


async def train(ctx: Context, rows: str, model: str, like: str = "") -> str:
    """The checkpoint after all stages of the recipe.

    With `like`, another checkpoint, only the last stage is run, for as many optimizer steps as lie
    between the model that the run began with and that one, over all stages and promoted rounds: the
    control at an equal number of steps.
    """
    chosen, manifest = ctx.manifest(rows), ctx.manifest(model)
    steps = ctx.manifest(like).stats["total_steps"] if like else 0
    stages = list(enumerate(ctx.recipe.stages()))
    for number, stage in stages[-1:] if like else stages:
        settings = {
            "stage": stage.model_dump(mode="json"),
            "number": number,
            "seed": ctx.config.seed,
            "threads": ctx.config.services.threads,
            "device": ctx.config.services.device,
            "steps": steps,
        }
        parents = (chosen, manifest)
        name = content_hash("training", settings, [parent.hash for parent in parents])
        out = ctx.work / "training" / name[:24]
        make = partial(_run, ctx, chosen, manifest, stage, steps, out)
        manifest = await ctx.once("train", 2, settings, parents, make)
    return reference(manifest)


async def _run(
    ctx: Context, rows: Manifest, base: Manifest, stage: Stage, steps: int, out: Path
) -> Made:
    job = await _job(ctx, rows, base, stage, steps, out)

    def tell(progress: Progress) -> None:
        note = f"loss {progress.loss:.3f}, {progress.tokens_per_s:.0f} tokens/s"
        ctx.progress("train", progress.step, progress.of, note)

    result = await ctx.platform.train(job, tell)
    folder = await asyncio.to_thread(ctx.store.put_folder, out / "model")
    loss = [[line.step, line.loss] for line in read_progress(out / PROGRESS_FILE)]
    await asyncio.to_thread(shutil.rmtree, out)
    stats = {
        "weights_sha256": folder.weights_sha256,
        "steps": result.steps,
        "total_steps": base.stats.get("total_steps", 0) + result.steps,
        "rows": result.num_rows,
        "dropped_rows": result.num_dropped_rows,
        "trained_tokens": result.tokens,
        "loss": loss,
    }
    return Made([folder.object], stats)


async def _job(
    ctx: Context, rows: Manifest, base: Manifest, stage: Stage, steps: int, out: Path
) -> TrainingJob:
    refs = rows.of_kind(EXAMPLES.name)
    files = [
        await asyncio.to_thread(ctx.store.fetch, ref, out / f"rows-{i}.parquet")
        for i, ref in enumerate(refs)
    ]
    return training_job(ctx.config, stage, await ctx.folder(base), files, out, steps)


def training_job(
    config: RunConfig, stage: Stage, model: Path, rows: Sequence[Path], out: Path, steps: int
) -> TrainingJob:
    """A stage as the job of a run: `steps` optimizer steps, or the stage's epochs where it is 0."""
    return TrainingJob(
        model=model,
        trust_remote_code=config.trust_remote_code,
        rows=tuple(rows),
        out=out,
        max_steps=steps,
        seed=config.seed % 2**32,
        device=config.services.device,
        num_threads=config.services.threads,
        **stage.model_dump(),
    )
