"""The step that takes most of a round, sampling and verifying, beside one task at a time."""

import asyncio
import itertools
import tempfile
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.commands.bench.turns import in_turns
from roundsmith.platform.local import LocalPlatform
from roundsmith.presets import run_config
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.store import Store
from roundsmith.types import Split

SETTINGS = ("iterations=2", "max_tokens=64")


def measure(model: str, num_tasks: int = 16, turns: int = 3) -> list[BenchResult]:
    """Tasks a second of the step `sample` through the real services, as a run does it.

    Both play as many chains by the same services, each turn with a seed of its own; the peer waits
    for each task to end before it begins the next, so the ratio tells what keeping generator and
    executor busy together is worth.
    """
    options = {"recipe": "gift", "model": model, "limit": num_tasks, "eval_limit": 1}
    config = run_config("lab", None, options, SETTINGS)
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder, seeds = Path(name), itertools.count()
        platform, store = LocalPlatform(config, folder), Store(str(folder / "store"))

        def sample(tasks_in_flight: int) -> None:
            # Services and store know no answer to a seed that was not asked before.
            changes = {"seed": next(seeds), "tasks_in_flight": tasks_in_flight}
            runner.run(_sample(config.model_copy(update=changes), store, platform))

        try:
            result = in_turns(
                f"sample and verify {num_tasks} lab tasks by gift",
                num_tasks,
                "tasks/s",
                lambda: sample(config.tasks_in_flight),
                "one task at a time",
                lambda: sample(1),
                turns,
            )
        finally:
            runner.run(platform.close())
    return [result]


async def _sample(config: RunConfig, store: Store, platform: LocalPlatform) -> None:
    context = Context(store, config, 1, platform, lambda *_: None)
    # Of the training tasks alone: no gate will ever decide here.
    tasks = await run_step(context, "load_tasks", split=Split.TRAIN)
    model = await run_step(context, "load_model")
    await platform.watched(run_step(context, "sample", tasks=tasks, model=model))
