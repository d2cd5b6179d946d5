"""Cancellation, overload, new weights, the end: nothing is lost and nothing is mixed."""

import asyncio
import gc
import shutil
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError, EngineError, Overloaded, Unavailable, WeightsMismatch
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings, VllmSettings
from roundsmith.hashing import weights_sha256
from roundsmith.types import Completion, GenerateItem, Sampling
from tests.services.conftest import make_model, mean_otherwise
from tests.services.generator.driven import Driven, need

LONG = Sampling(200, temperature=0.0)  # which never ends by itself


def test_a_cancelled_call_frees_its_slots_and_the_others_finish(driven: Driven) -> None:
    async def scenario() -> list[list[Completion]]:
        hog = asyncio.create_task(driven.collect(GenerateItem("hog", "def", LONG, 1, n=9)))
        while driven.engine.running < 4:
            await asyncio.sleep(0.001)
        others = [GenerateItem(str(i), "def", Sampling(3), i) for i in range(3)]
        tasks = [asyncio.create_task(driven.collect(item)) for item in others]
        await asyncio.sleep(0)
        hog.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hog
        answers = await asyncio.gather(*tasks)
        await driven.idle()
        return answers

    assert [len(answer) for answer in driven.run(scenario())] == [1, 1, 1]


def test_closing_the_iterator_early_frees_the_slots(driven: Driven) -> None:
    async def scenario() -> None:
        item = GenerateItem("i", "def", LONG, 1, n=6, deltas=True)
        completions = driven.engine.generate(item)
        await anext(completions)
        await completions.aclose()
        await driven.idle()

    driven.run(scenario())


def test_a_full_queue_refuses_and_says_when_to_come_back(driven: Driven) -> None:
    async def scenario() -> tuple[list[list[Completion]], Overloaded]:
        short = Sampling(12, temperature=0.0)
        items = [GenerateItem(str(i), "def", short, i, n=30) for i in range(2)]
        accepted = [asyncio.create_task(driven.collect(item)) for item in items]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="completions wait, expected at most 64") as seen:
            await driven.collect(GenerateItem("late", "def", LONG, 9, n=40))
        return await asyncio.gather(*accepted), seen.value

    answers, overloaded = driven.run(scenario())
    assert [len(answer) for answer in answers] == [30, 30]
    assert overloaded.retry_after_s >= 0.5


@asynccontextmanager
async def serving(driven: Driven, folder: Path, tiny: Path) -> AsyncIterator[None]:
    """Reloads the weights of a folder at once, and the tiny model's after the block."""
    await driven.engine.reload(folder, weights_sha256(folder))
    try:
        yield
    finally:
        await driven.engine.reload(tiny, weights_sha256(tiny))


def test_new_weights_come_between_completions_never_inside_one(
    driven: Driven, tiny: Path, other_tiny: Path
) -> None:
    old, new = weights_sha256(tiny), weights_sha256(other_tiny)
    greedy = Sampling(20, temperature=0.0)
    items = [GenerateItem(str(i), f"def add{i}", greedy, i, n=2) for i in range(5)]

    async def ask() -> list[Completion]:
        answers = await asyncio.gather(*map(driven.collect, items))
        return [completion for answer in answers for completion in answer]

    async def scenario() -> tuple[list[Completion], list[Completion], list[Completion]]:
        before = await ask()
        during = asyncio.create_task(ask())
        while not (driven.engine.running or during.done()):
            await asyncio.sleep(0)
        async with serving(driven, other_tiny, tiny):
            assert driven.engine.describe().weights_sha256 == new
            assert driven.engine.describe().rank_weights_sha256 == (new,)
            await driven.engine.reload(other_tiny, new)  # again: nothing to do
            return before, await during, await ask()

    before, during, after = driven.run(scenario())
    assert {c.weights_sha256 for c in before} == {old}
    assert {c.weights_sha256 for c in after} == {new}
    assert [c.token_ids for c in before] != [c.token_ids for c in after]
    by_version = {old: before, new: after}
    for place, mixed in enumerate(during):
        assert mixed.token_ids == by_version[mixed.weights_sha256][place].token_ids


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.5])
def test_a_reload_that_is_given_up_leaves_an_engine_that_draws_by_the_version_it_names(
    driven: Driven, tiny: Path, other_tiny: Path, after_s: float
) -> None:
    item = GenerateItem("i", "def add", Sampling(20, temperature=0.0), 1)
    expected: dict[str, list[Completion]] = {}

    async def scenario() -> list[Completion]:
        for folder in (other_tiny, tiny):
            await driven.engine.reload(folder, weights_sha256(folder))
            expected[weights_sha256(folder)] = await driven.collect(item)
        drawn = asyncio.create_task(driven.collect(replace(item, sampling=LONG)))
        while not driven.engine.running:
            await asyncio.sleep(0)
        new = weights_sha256(other_tiny)
        reload = asyncio.create_task(driven.engine.reload(other_tiny, new))
        await asyncio.sleep(after_s)
        reload.cancel()
        await asyncio.wait([reload])
        await drawn
        return await driven.collect(item)

    try:
        (seen,) = driven.run(scenario(), within_s=120)
        assert seen.token_ids == expected[seen.weights_sha256][0].token_ids
    finally:
        driven.run(driven.engine.reload(tiny, weights_sha256(tiny)))


def test_a_waiting_prompt_is_computed_again_with_the_new_weights(
    driven: Driven, tiny: Path, other_tiny: Path
) -> None:
    old, new = weights_sha256(tiny), weights_sha256(other_tiny)
    item = GenerateItem("i", "def add(a, b):\n" * 6, Sampling(60, temperature=0.0), 5, n=24)

    async def asking(name: str, waited: list[Completion]) -> None:
        """Asks until the new weights are there, so that some always wait; keeps what was drawn of
        what was asked before.
        """
        while driven.engine.describe().weights_sha256 == old:
            waited += await driven.collect(replace(item, item_id=name))

    async def scenario() -> tuple[list[Completion], list[Completion]]:
        waited: list[Completion] = []
        asked = [asyncio.create_task(asking(name, waited)) for name in "ab"]
        while not driven.engine.running:
            await asyncio.sleep(0)
        async with serving(driven, other_tiny, tiny):
            await asyncio.gather(*asked)
            return waited, await driven.collect(item)

    during, after = driven.run(scenario())
    changed = [c for c in during if c.weights_sha256 == new]
    assert changed
    assert {c.weights_sha256 for c in during} == {old, new}
    assert [c.token_ids for c in changed] == [after[c.index].token_ids for c in changed]


DAMAGE = ("no weights", "cut off", "other hash", "not a number", "one infinity", "other shape")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_folder_is_refused_and_the_old_weights_go_on(
    driven: Driven, other_tiny: Path, tmp_path: Path, damage: str
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(other_tiny, tmp_path / "broken")
    weights = folder / "model.safetensors"
    item = GenerateItem("i", "def add", Sampling(9, temperature=0.0), 0)
    (before,) = driven.ask([item])
    match damage:
        case "no weights":
            weights.unlink()
        case "cut off":
            weights.write_bytes(weights.read_bytes()[:-1000])
        case "not a number":
            tensors = {name: tensor / 0 for name, tensor in load_file(weights).items()}
            save_file(tensors, weights, metadata={"format": "pt"})
        case "one infinity":
            tensors = load_file(weights)
            tensors["model.layers.1.mlp.up_proj.weight"][-1, 0] = float("inf")
            save_file(tensors, weights, metadata={"format": "pt"})
        case "other shape":
            tensors = {name: tensor[:-1].clone() for name, tensor in load_file(weights).items()}
            save_file(tensors, weights, metadata={"format": "pt"})
    broken = damage not in ("no weights", "other hash")
    sha256 = weights_sha256(folder) if broken else "0" * 64
    with pytest.raises((ConfigError, WeightsMismatch), match=r"expected"):
        driven.run(driven.engine.reload(folder, sha256))
    assert driven.ask([item]) == [before]


def test_a_model_of_another_size_is_refused_and_the_old_one_goes_on(
    driven: Driven, tiny: Path, tmp_path: Path
) -> None:
    other = make_model(tmp_path / "other", seed=3, head_dim=16)
    item = GenerateItem("i", "def add", Sampling(9, temperature=0.0), 0)
    (before,) = driven.ask([item])
    with pytest.raises(ConfigError, match=r"expected"):
        driven.run(driven.engine.reload(other, weights_sha256(other)))
    assert driven.ask([item]) == [before]
    assert driven.engine.describe().weights_sha256 == weights_sha256(tiny)


@pytest.mark.parametrize("other", ["tokenizer.json", "config.json", "generation_config.json"])
def test_a_folder_whose_numbers_mean_something_else_is_refused(
    driven: Driven, tiny: Path, other_tiny: Path, tmp_path: Path, other: str
) -> None:
    folder = shutil.copytree(other_tiny, tmp_path / "other")
    mean_otherwise(folder, other)
    with pytest.raises(ConfigError, match=r"expected the same (tokenizer|config.json)"):
        driven.run(driven.engine.reload(folder, weights_sha256(folder)))
    assert driven.engine.describe().weights_sha256 == weights_sha256(tiny)


def test_of_what_was_served_before_a_reload_nothing_stays_in_memory(
    tiny: Path, other_tiny: Path
) -> None:
    driven = Driven(GeneratorSettings(model=str(tiny), slots=2))
    engine = driven.engine
    assert isinstance(engine, TransformersEngine)
    gc.collect()
    gc.disable()  # what only a full collection finds waits for it, on a GPU too
    try:
        driven.ask([GenerateItem("i", "def add", Sampling(9), 0)])
        decoder = engine._scheduler._decoder
        held = [weakref.ref(decoder._cache), weakref.ref(decoder.loaded.model)]
        del decoder
        driven.run(engine.reload(other_tiny, weights_sha256(other_tiny)))
        driven.ask([GenerateItem("i", "def add", Sampling(9), 0)])
        assert [one() for one in held] == [None, None]
    finally:
        gc.enable()
        driven.close()


@pytest.mark.vllm
def test_an_engine_that_has_lost_its_weights_draws_no_more(
    tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    need("vllm")
    served = Path(shutil.copytree(tiny, tmp_path / "served"))
    settings = VllmSettings(model=str(served), slots=4, kv_cache_gib=0.1, dtype="bfloat16")
    driven = Driven(settings)
    broken = Path(shutil.copytree(other_tiny, tmp_path / "broken"))
    weights = broken / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"][0] = 3.4e38  # a number in the file, and none as it is served
    save_file(tensors, weights, metadata={"format": "pt"})
    (served / "model.safetensors").unlink()
    try:
        with pytest.raises(EngineError, match="the weights that were served do not load again"):
            driven.run(driven.engine.reload(broken, weights_sha256(broken)))
        assert "do not load again" in str(driven.run(driven.engine.failed()))
    finally:
        driven.close()


def test_what_waits_when_the_engine_closes_is_told_so(tiny: Path) -> None:
    driven = Driven(GeneratorSettings(model=str(tiny), slots=1))

    async def scenario() -> None:
        asked = asyncio.create_task(driven.collect(GenerateItem("i", "def", LONG, 0, n=5)))
        while not driven.engine.running:
            await asyncio.sleep(0)
        await driven.engine.close()
        with pytest.raises(Unavailable, match="shutting down"):
            await asked
        with pytest.raises(Unavailable):
            await driven.collect(GenerateItem("i", "def", LONG, 0))

    driven.run(scenario())
