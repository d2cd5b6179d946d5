"""The ledger of a checkpoint of several stages tells what all of them took."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from roundsmith.platform.local import LocalPlatform
from roundsmith.steps import run_step
from roundsmith.steps.context import reference
from roundsmith.steps.spent import spent_on
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredResult, StoredTraining
from roundsmith.training.result import TrainingResult
from tests.pipelines.steps.contexts import context
from tests.pipelines.steps.test_train import one_row

STAGE_S = 0.2


class SlowPlatform(LocalPlatform):
    """Hands the model back as the trained one, after a while."""

    async def train(
        self, request: StoredTraining, on_progress: Callable[[Progress], None]
    ) -> StoredResult:
        await asyncio.sleep(STAGE_S)
        result = TrainingResult(request.model.weights_sha256, 1, 1, 0, 10, 0.5, "float32", "cpu")
        return StoredResult(request.model, result, ((1, 0.5),))


def test_seconds_and_tokens_of_all_stages_are_told(tmp_path: Path) -> None:
    told = context(tmp_path, recipe="inverse_instruct", control=False)
    ctx = replace(told, platform=SlowPlatform(told.config, tmp_path / "work"))
    assert len(ctx.recipe.stages()) == 2

    async def trained() -> str:
        first, of = await run_step(ctx, "load_model"), await run_step(ctx, "load_tasks")
        return await run_step(
            ctx, "train", rows=reference(await one_row(ctx)), model=first, tasks=of
        )

    manifest = ctx.manifest(asyncio.run(trained()))
    spent = spent_on(manifest)
    assert spent.seconds >= 2 * STAGE_S
    assert spent.trained_tokens == 20
    assert spent.bytes == 2 * ctx.store.folder_bytes(ctx.stored(manifest))
