"""The ledger of a checkpoint of several stages tells what all of them took."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from roundsmith.platform.local import LocalPlatform
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, reference
from roundsmith.steps.spent import spent_on
from roundsmith.store import Manifest
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredResult, StoredTraining
from roundsmith.training.result import TrainingResult
from tests.pipelines.steps.contexts import context
from tests.pipelines.steps.test_train import one_row

STAGE_S = 0.2


class SlowPlatform(LocalPlatform):
    """Hands the model back as the trained one, after a while; `steps_s` is what it says that its
    steps took, `earlier_cpu_s` what processes before it spent.
    """

    steps_s = earlier_cpu_s = 0.0

    async def train(
        self, request: StoredTraining, on_progress: Callable[[Progress], None]
    ) -> StoredResult:
        await asyncio.sleep(STAGE_S)
        result = TrainingResult(request.model.weights_sha256, 1, 1, 0, 10, 0.5, "float32", "cpu")
        return StoredResult(
            request.model,
            result,
            ((1, 0.5),),
            seconds=self.steps_s,
            earlier_cpu_s=self.earlier_cpu_s,
        )


def trained(
    folder: Path, steps_s: float = 0.0, earlier_cpu_s: float = 0.0
) -> tuple[Context, Manifest]:
    """The checkpoint of a recipe with two stages."""
    told = context(folder, recipe="inverse_instruct", control=False)
    platform = SlowPlatform(told.config, folder / "work")
    platform.steps_s, platform.earlier_cpu_s = steps_s, earlier_cpu_s
    ctx = replace(told, platform=platform)
    assert len(ctx.recipe.stages()) == 2

    async def made() -> str:
        first, of = await run_step(ctx, "load_model"), await run_step(ctx, "load_tasks")
        return await run_step(
            ctx, "train", rows=reference(await one_row(ctx)), model=first, tasks=of
        )

    return ctx, ctx.manifest(asyncio.run(made()))


def test_seconds_and_tokens_of_all_stages_are_told(tmp_path: Path) -> None:
    ctx, manifest = trained(tmp_path)
    spent = spent_on(manifest)
    assert spent.seconds >= 2 * STAGE_S
    assert spent.trained_tokens == 20
    assert spent.bytes == 2 * ctx.store.folder_bytes(ctx.stored(manifest))


def test_seconds_of_steps_before_a_run_was_killed_are_told_once(tmp_path: Path) -> None:
    _, manifest = trained(tmp_path, steps_s=1000.0)
    assert 2000.0 <= spent_on(manifest).seconds < 3000.0


def test_cpu_seconds_of_processes_before_a_run_was_killed_are_told(tmp_path: Path) -> None:
    _, manifest = trained(tmp_path, earlier_cpu_s=1000.0)
    cpu_s = spent_on(manifest).cpu_s
    assert cpu_s is not None
    assert 2000.0 <= cpu_s < 3000.0
