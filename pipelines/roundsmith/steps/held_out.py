"""What rows are held against before anything is trained on them: the tasks of gate and final, and
those of files that must not get worse.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from roundsmith.benchmarks.load import LoadedTasks
from roundsmith.benchmarks.load import load_tasks as read_tasks
from roundsmith.steps.context import Context
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.overlap import Overlap
from roundsmith.store import Manifest
from roundsmith.types import Split


async def kept_apart(ctx: Context) -> list[LoadedTasks]:
    """The tasks of files that must not get worse."""
    skip = ctx.config.skip_bad_rows
    files = [kept.tasks for kept in ctx.config.keep if kept.tasks]
    return [await asyncio.to_thread(read_tasks, file, skip_bad_rows=skip) for file in files]


def drops_texts(ctx: Context) -> bool:
    """Whether rows that hold a held-out text anywhere are dropped."""
    texts = ctx.config.contamination.texts
    return ctx.recipe.decontaminates if texts is None else texts


def held_out_key(ctx: Context, apart: Sequence[LoadedTasks]) -> dict[str, Any]:
    """What names, beside the tasks and the recipe, which rows are dropped."""
    return {
        "contamination": ctx.config.contamination.model_dump(mode="json", exclude_none=True),
        "keep": [loaded.source_hash for loaded in apart],
    }


def overlap_with(ctx: Context, tasks: Manifest, apart: Sequence[LoadedTasks]) -> Overlap:
    """What rows are held against."""
    of_run = [task for split in (Split.GATE, Split.FINAL) for task in tasks_of(ctx, tasks, split)]
    of_files = [task for loaded in apart for task in loaded.tasks]
    return Overlap([*of_run, *of_files], ctx.config.contamination, drops_texts(ctx))
