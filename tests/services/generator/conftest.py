"""A generator over the tiny model, and how the tests ask it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import Completion, GenerateItem

Ask = Callable[[Sequence[GenerateItem]], list[list[Completion]]]


@pytest.fixture(scope="session")
def engine(tiny: Path) -> Iterator[TransformersEngine]:
    """Four slots over the tiny model."""
    settings = GeneratorSettings(model=str(tiny), slots=4, bucket_tokens=16, threads=2)
    engine = TransformersEngine(settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def ask(engine: TransformersEngine) -> Ask:
    """Items asked at once, answered in their order, completions by index."""

    async def one(item: GenerateItem) -> list[Completion]:
        found = [completion async for completion in engine.generate(item)]
        return sorted(found, key=lambda completion: completion.index)

    async def ask_all(items: Sequence[GenerateItem]) -> list[list[Completion]]:
        return list(await asyncio.gather(*map(one, items)))

    return lambda items: asyncio.run(ask_all(items))
