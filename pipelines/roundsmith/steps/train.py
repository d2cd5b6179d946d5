"""Training: the rows become a checkpoint, stage by stage, in processes of its own."""

from roundsmith.hashing import content_hash
from roundsmith.recipes.stage import PREFERENCES, Stage
from roundsmith.steps.context import Context, Made, reference
from roundsmith.store import EXAMPLES, PAIRS, Manifest
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredTraining


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
        manifest = await _train(ctx, chosen, manifest, stage, number, steps)
    return reference(manifest)


async def _train(
    ctx: Context, rows: Manifest, base: Manifest, stage: Stage, number: int, steps: int
) -> Manifest:
    settings = {
        "stage": stage.model_dump(mode="json"),
        "number": number,
        "seed": ctx.config.seed,
        "arithmetic": ctx.platform.training_arithmetic.model_dump(mode="json"),
        "steps": steps,
    }
    name = content_hash("training", settings, [rows.hash, base.hash])

    async def make() -> Made:
        return await _made(ctx, training_request(ctx, name, rows, base, stage, steps), base)

    return await ctx.once("train", 3, settings, (rows, base), make)


async def _made(ctx: Context, request: StoredTraining, base: Manifest) -> Made:
    def tell(progress: Progress) -> None:
        note = f"loss {progress.loss:.3f}, {progress.tokens_per_s:.0f} tokens/s"
        ctx.progress("train", progress.step, progress.of, note)

    done = await ctx.platform.train(request, tell)
    result = done.result
    stats = {
        "weights_sha256": done.folder.weights_sha256,
        "steps": result.steps,
        "total_steps": base.stats.get("total_steps", 0) + result.steps,
        "rows": result.num_rows,
        "dropped_rows": result.num_dropped_rows,
        "trained_tokens": result.tokens,
        "loss": [list(point) for point in done.loss],
    }
    return Made([done.folder.object], stats, {"bytes": ctx.store.folder_bytes(done.folder)})


def training_request(
    ctx: Context, name: str, rows: Manifest, base: Manifest, stage: Stage, steps: int
) -> StoredTraining:
    """A stage as the training of a run: `steps` optimizer steps, or the stage's epochs where it
    is 0.
    """
    return StoredTraining(
        name=name,
        store=ctx.store.url,
        rows=rows.of_kind((PAIRS if stage.objective in PREFERENCES else EXAMPLES).name),
        model=ctx.stored(base),
        stage=stage,
        steps=steps,
        seed=ctx.config.seed % 2**32,
        arithmetic=ctx.platform.training_arithmetic,
        trust_remote_code=ctx.config.trust_remote_code,
    )
