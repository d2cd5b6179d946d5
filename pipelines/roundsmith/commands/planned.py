"""The plan of a run: every step of every round looked up in the store."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.round import play_rounds
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Platform
from roundsmith.steps.forecast import Forecast
from roundsmith.steps.plan import Plan, PlannedContext, PlannedStep
from roundsmith.store.overlay import Overlay, existing


def planned(config: RunConfig, store: str, platform: Platform) -> list[PlannedStep]:
    """Every step of every planned round, in order: found in the store at a URL, or to be done."""
    with plan_over(config, store, platform) as plan, asyncio.Runner() as runner:

        def do(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
            return runner.run(plan.look(step, split, of, inputs))

        numbers = range(1, config.rounds + 1)
        recipe = plan.context.recipe
        parts = (config.control, recipe.own_writer, recipe.on_train)
        played = play_rounds(do, plan.promoted, numbers, plan.begin, *parts)
        for _ in played:
            continue
        return plan.steps


@contextmanager
def plan_over(config: RunConfig, store: str, platform: Platform) -> Iterator[Plan]:
    """A plan over the store at a URL, which is left as it is."""
    below = existing(store)
    with tempfile.TemporaryDirectory() as scratch:
        overlay = Overlay(below, Path(scratch))
        context = PlannedContext(overlay, config, 1, platform, lambda *_: None)
        yield Plan(context, overlay, Forecast(below.every_manifest() if below else ()))
