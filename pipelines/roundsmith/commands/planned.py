"""The plan of a run: every step of every round looked up in the store."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from roundsmith.commands.decided import Decided
from roundsmith.commands.promotions import rolled_back
from roundsmith.round import play_rounds
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Platform
from roundsmith.steps.forecast import Forecast
from roundsmith.steps.plan import Plan, PlannedContext, PlannedStep, is_done
from roundsmith.store.overlay import Overlay, existing


def planned(
    config: RunConfig,
    store: str,
    platform: Platform,
    run: str,
    say: Callable[[str], None] = lambda line: None,
) -> list[PlannedStep]:
    """Every step of every planned round of a run in a folder or at a URL, in order: found in the
    store, or to be done. `say` hears of a round that is the last before it was planned to be.
    """
    decided = Decided(rolled_back(run))
    with plan_over(config, store, platform) as plan, asyncio.Runner() as runner:

        def do(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
            ref = runner.run(plan.look(step, split, of, inputs))
            if is_done(ref):
                decided.add(plan.context, ref)
            return ref

        def promoted(decision: str) -> bool:
            # One that is still to be asked promotes: then most is to do.
            return not is_done(decision) or decided.promoted(plan.context, decision)

        def stops(decision: str, rows: str) -> bool:
            why = decided.why_last(plan.context, decision, rows) if is_done(decision) else None
            if why is not None:
                say(f"round {plan.context.round} is the last: {why}")
            return why is not None

        numbers = range(1, config.rounds + 1)
        recipe = plan.context.recipe
        parts = (config.control, recipe.own_writer, recipe.on_train)
        for _ in play_rounds(do, promoted, numbers, plan.begin, *parts, stops):
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
