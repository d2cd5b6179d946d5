"""What the model wrote may leave no room in its own context: that is data and ends no run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from roundsmith.clients import Endpoints, Services, connect
from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.errors import TooLong
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.start import start as start_executor
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.generator.start import start as start_generator
from roundsmith.lab import model_source
from roundsmith.platform.local import LocalPlatform
from roundsmith.recipes.contract import Recipe
from roundsmith.recipes.gift import Gift, GiftConfig
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import CompletionStyle, Demonstration
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.scorer.start import start as start_scorer
from roundsmith.serve import listening
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Made, reference
from roundsmith.store import GROUPS
from roundsmith.types import Group, Kind, Limits, Sampling
from tests.pipelines.recipes.groups import TASK, code, passes
from tests.pipelines.steps.contexts import context

CONTEXT_TOKENS = 128
LONG = "    x = 1\n" * 200 + "    return x"
DEMONSTRATION = Demonstration("def f():\n    return 1", "Give one.")
SAMPLING = Sampling(4, 0.0)


@asynccontextmanager
async def services(root: Path | None = None) -> AsyncIterator[Services]:
    """Real services with the lab model in a short context; checkpoints lie under `root`."""
    serve = ServeSettings()
    weights = WeightsSettings(storage_root=None if root is None else str(root))
    model = {"model": model_source("lab"), "context_tokens": CONTEXT_TOKENS, "threads": 1}
    started = [
        await start_generator(GeneratorSettings.model_validate(model), serve, weights),
        await start_scorer(ScorerSettings.model_validate(model), serve, weights),
        await start_executor(ExecutorSettings(slots=1), serve),
    ]
    async with AsyncExitStack() as stack:
        for service in started:
            stack.push_async_callback(service.close)
        g, s, e = [
            await stack.enter_async_context(listening(service.bindings, serve))
            for service in started
        ]
        endpoints = Endpoints(
            generator=g["address"],
            generator_admin=g["admin_address"],
            scorer=s["address"],
            scorer_admin=s["admin_address"],
            executor=e["address"],
            pair_builder=e["address"],
        )
        yield await stack.enter_async_context(connect(endpoints))


async def session(found: Services, demonstration: Demonstration = DEMONSTRATION) -> Session:
    """A session on what is served."""
    served = await found.generator.model()
    return Session(
        services=found,
        style=CompletionStyle(),
        recipe="gift",
        round=1,
        seed=0,
        weights_sha256=served.weights_sha256,
        demonstrations=[demonstration],
        limits=Limits(),
    )


def test_text_that_the_model_wrote_gives_no_sample_and_the_tasks_own_is_named() -> None:
    async def play() -> None:
        async with services() as found:
            asked = await session(found)
            own = replace(TASK, description="word " * 300)
            with pytest.raises(TooLong, match=r"task double: prompt of \d+ tokens: .* 128"):
                await asked.write_codes(own, own.description, SAMPLING, step=0, n=1)
            assert (
                await asked.write_codes(
                    TASK, own.description, SAMPLING, step=1, n=1, parents=("said",)
                )
                == ()
            )
            assert await asked.verify(TASK, ()) == ()
            program = f"{TASK.head}\n{LONG}"
            said = await asked.write_description(TASK, program, SAMPLING, step=1, parents=("c",))
            assert said is None

    asyncio.run(play())


def test_a_chain_goes_on_when_nothing_can_be_described() -> None:
    async def play() -> Group:
        async with services() as found:
            asked = await session(found, Demonstration(f"def f():\n{LONG}", "Give one."))
            config = GiftConfig(iterations=3, codes_per_iteration=1, max_tokens=4)
            return await Gift(config).sample(TASK, asked)

    group = asyncio.run(play())
    assert [(s.kind, s.step) for s in group.samples] == [(Kind.CODE, step) for step in range(3)]
    assert {s.prompt for s in group.samples} == {CompletionStyle().code(TASK, TASK.description)}


class Served(LocalPlatform):
    """The platform of a round whose services run already."""

    def __init__(self, work: Path, running: Services) -> None:
        super().__init__(RunConfig(recipe="gift"), work)
        self._running = running

    async def services(self, uri: str) -> Services:
        return self._running


def test_a_sample_that_can_not_be_scored_whole_is_counted_and_left_out(tmp_path: Path) -> None:
    async def play() -> tuple[list[Group], dict[str, int], Recipe]:
        async with services(tmp_path) as found:
            ctx = replace(context(tmp_path), platform=Served(tmp_path, found))
            model = await run_step(ctx, "load_model")
            weights = ctx.manifest(model).stats["weights_sha256"]
            short, long = code("short", 0), code("long", 1, LONG)
            codes = tuple(
                replace(c, provenance=replace(c.provenance, weights_sha256=weights))
                for c in (short, long)
            )
            drawn = Group(TASK, codes, passes(*codes))

            async def make() -> Made:
                return Made([ctx.store.write_rows(GROUPS, [drawn])])

            groups = reference(await ctx.once("sample", 1, {}, (), make))
            scored = ctx.manifest(await run_step(ctx, "score", groups=groups, model=model))
            return list(ctx.store.read_all(GROUPS, scored)), dict(scored.stats), ctx.recipe

    groups, stats, recipe = asyncio.run(play())
    assert list(groups[0].scores) == ["short"]
    assert (stats["scored"], stats["too_long_to_score"]) == (1, 1)
    rows = recipe.select(groups[0], Random(0))
    assert {row.provenance.parents for row in rows} == {(), ("short",)}


def test_each_round_shows_other_demonstrations_without_docstrings() -> None:
    async def play() -> None:
        async with services() as found:
            asked = await session(found)
        shown = [
            Demonstration(f'def f():\n    """Give {n}."""\n    return {n}\n', f"Give {n}.")
            for n in range(50)
        ]
        first, again, second = (
            replace(asked, demonstrations=shown, round=number) for number in (1, 1, 2)
        )
        drawn = [
            [one.demonstration(TASK, step).code for step in range(5)]
            for one in (first, again, second)
        ]
        assert drawn[0] == drawn[1] != drawn[2]
        assert not any('"""' in text for texts in drawn for text in texts)

    asyncio.run(play())
