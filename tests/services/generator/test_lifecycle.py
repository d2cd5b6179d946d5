"""Cancellation, overload, new weights, the end: nothing is lost and nothing is mixed."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError, Overloaded, Unavailable, WeightsMismatch
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.hashing import weights_sha256
from roundsmith.types import Completion, GenerateItem, Sampling

LONG = Sampling(200, temperature=1.0)


@pytest.fixture
def fresh(tiny: Path) -> Iterator[TransformersEngine]:
    """An engine of two slots that a test may reload and close."""
    settings = GeneratorSettings(model=str(tiny), slots=2, bucket_tokens=16, max_waiting=6)
    engine = TransformersEngine(settings)
    yield engine
    engine.close()


async def collect(engine: TransformersEngine, item: GenerateItem) -> list[Completion]:
    """All completions of an item, by index."""
    found = [completion async for completion in engine.generate(item)]
    return sorted(found, key=lambda completion: completion.index)


async def idle(engine: TransformersEngine) -> None:
    """Returns when no completion runs or waits; fails after five seconds."""
    async with asyncio.timeout(5):
        while engine.running or engine.waiting:
            await asyncio.sleep(0.002)


def test_a_cancelled_call_frees_its_slots_and_the_others_finish(fresh: TransformersEngine) -> None:
    async def scenario() -> list[list[Completion]]:
        hog = asyncio.create_task(collect(fresh, GenerateItem("hog", "def", LONG, 1, n=5)))
        while fresh.running < 2:
            await asyncio.sleep(0.001)
        others = [GenerateItem(str(i), "def", Sampling(3), i) for i in range(3)]
        tasks = [asyncio.create_task(collect(fresh, item)) for item in others]
        await asyncio.sleep(0)
        hog.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hog
        answers = await asyncio.gather(*tasks)
        await idle(fresh)
        return answers

    assert [len(answer) for answer in asyncio.run(scenario())] == [1, 1, 1]


def test_closing_the_iterator_early_frees_the_slots(fresh: TransformersEngine) -> None:
    async def scenario() -> None:
        completions = fresh.generate(GenerateItem("i", "def", LONG, 1, n=6))
        await anext(completions)
        await completions.aclose()  # type: ignore[attr-defined]  # an async generator
        await idle(fresh)

    asyncio.run(scenario())


def test_a_full_queue_refuses_and_says_when_to_come_back(fresh: TransformersEngine) -> None:
    async def scenario() -> tuple[list[list[Completion]], Overloaded]:
        items = [GenerateItem(str(i), "def", LONG, i, n=3) for i in range(2)]
        accepted = [asyncio.create_task(collect(fresh, item)) for item in items]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="completions wait, expected at most 6") as seen:
            await collect(fresh, GenerateItem("late", "def", LONG, 9, n=4))
        return await asyncio.gather(*accepted), seen.value

    answers, overloaded = asyncio.run(scenario())
    assert [len(answer) for answer in answers] == [3, 3]
    assert overloaded.retry_after_s >= 0.5


def test_new_weights_come_between_completions_never_inside_one(
    fresh: TransformersEngine, tiny: Path, other_tiny: Path
) -> None:
    old, new = weights_sha256(tiny), weights_sha256(other_tiny)
    items = [GenerateItem(str(i), "def add", Sampling(20), i, n=2) for i in range(3)]

    async def ask() -> list[Completion]:
        answers = await asyncio.gather(*(collect(fresh, item) for item in items))
        return [completion for answer in answers for completion in answer]

    async def scenario() -> tuple[list[Completion], list[Completion], list[Completion]]:
        before = await ask()
        during = asyncio.create_task(ask())
        while not fresh.running:
            await asyncio.sleep(0)
        await fresh.reload(other_tiny, new)
        assert fresh.describe().weights_sha256 == new
        await fresh.reload(other_tiny, new)  # again: nothing to do
        return before, await during, await ask()

    before, during, after = asyncio.run(scenario())
    assert {c.weights_sha256 for c in before} == {old}
    assert {c.weights_sha256 for c in after} == {new}
    assert [c.token_ids for c in before] != [c.token_ids for c in after]
    for mixed, one, other in zip(during, before, after, strict=True):
        assert mixed in (one, other)


def test_a_waiting_prompt_is_computed_again_with_the_new_weights(
    fresh: TransformersEngine, other_tiny: Path
) -> None:
    new = weights_sha256(other_tiny)
    item = GenerateItem("i", "def add(a, b):\n", LONG, 5, n=6)

    async def scenario() -> tuple[list[Completion], list[Completion]]:
        asked = asyncio.create_task(collect(fresh, item))
        while not fresh.running:
            await asyncio.sleep(0)
        await fresh.reload(other_tiny, new)
        return await asked, await collect(fresh, item)

    during, after = asyncio.run(scenario())
    changed = [index for index, c in enumerate(during) if c.weights_sha256 == new]
    assert changed
    assert [during[i] for i in changed] == [after[i] for i in changed]


@pytest.mark.parametrize("damage", ["no weights", "cut off", "other hash", "not a number"])
def test_a_broken_folder_is_refused_and_the_old_weights_go_on(
    fresh: TransformersEngine, other_tiny: Path, tmp_path: Path, damage: str
) -> None:
    folder = shutil.copytree(other_tiny, tmp_path / "broken")
    weights = folder / "model.safetensors"
    match damage:
        case "no weights":
            weights.unlink()
            sha256 = "0" * 64
        case "cut off":
            weights.write_bytes(weights.read_bytes()[:-1000])
            sha256 = weights_sha256(folder)
        case "not a number":
            from safetensors.torch import load_file, save_file

            tensors = {name: tensor / 0 for name, tensor in load_file(weights).items()}
            save_file(tensors, weights, metadata={"format": "pt"})
            sha256 = weights_sha256(folder)
        case _:
            sha256 = "0" * 64
    served = fresh.describe().weights_sha256
    with pytest.raises((ConfigError, WeightsMismatch), match=r"expected"):
        asyncio.run(fresh.reload(folder, sha256))
    (completion,) = asyncio.run(collect(fresh, GenerateItem("i", "def", Sampling(3), 0)))
    assert completion.weights_sha256 == served


def test_what_waits_when_the_engine_closes_is_told_so(tiny: Path) -> None:
    engine = TransformersEngine(GeneratorSettings(model=str(tiny), slots=1))

    async def scenario() -> None:
        asked = asyncio.create_task(collect(engine, GenerateItem("i", "def", LONG, 0, n=5)))
        while not engine.running:
            await asyncio.sleep(0)
        await asyncio.to_thread(engine.close)
        with pytest.raises(Unavailable, match="shutting down"):
            await asked
        with pytest.raises(Unavailable):
            await collect(engine, GenerateItem("i", "def", LONG, 0))

    asyncio.run(scenario())
