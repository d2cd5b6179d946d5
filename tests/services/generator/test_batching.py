"""Continuous batching: a sample is the same whatever it was batched with."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.hashing import derive_seed
from roundsmith.types import Completion, GenerateItem, Sampling
from tests.services.generator.driven import Driven

Ask = Callable[[Sequence[GenerateItem]], list[list[Completion]]]
WORDS = ("def add(a, b):", "\n    return ", "### Code\n", "assert ", "x", "[1, 2, 3]", "the fox ")


@st.composite
def items(draw: st.DrawFn) -> GenerateItem:
    """An item of any length, any sampling, any seed."""
    prompt = "".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=20)))
    sampling = Sampling(
        max_tokens=draw(st.integers(1, 40)),
        temperature=draw(st.sampled_from([0.0, 0.5, 1.0, 1.5])),
        top_p=draw(st.sampled_from([1.0, 0.9, 0.3])),
        top_k=draw(st.sampled_from([0, 1, 10])),
        stop=draw(st.sampled_from([(), ("\n",), ("a", "return")])),
        min_p=draw(st.sampled_from([0.0, 0.05])),
        presence_penalty=draw(st.sampled_from([0.0, 0.5])),
        frequency_penalty=draw(st.sampled_from([0.0, -0.25])),
        repetition_penalty=draw(st.sampled_from([1.0, 1.3])),
    )
    seed, n = draw(st.integers(0, 2**63 - 1)), draw(st.integers(1, 3))
    return GenerateItem("item", prompt, sampling, seed, n)


@settings(max_examples=25, deadline=None)
@given(st.lists(items(), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_a_sample_is_bitwise_the_same_alone_and_in_any_company(
    driven: Driven, ask: Ask, together: list[GenerateItem], shuffler: random.Random
) -> None:
    if not driven.engine.describe().reproducible:
        pytest.skip("the engine says that it does not hold")
    answers = ask(together)
    assert ask(together[:1]) == answers[:1]
    order = list(range(len(together)))
    shuffler.shuffle(order)
    assert ask([together[i] for i in order]) == [answers[i] for i in order]


def test_a_larger_n_keeps_the_earlier_samples(ask: Ask) -> None:
    item = GenerateItem("item", "def add", Sampling(12), seed=7, n=2)
    (two,), (five,) = ask([item]), ask([replace(item, n=5)])
    assert five[:2] == two
    assert len({completion.token_ids for completion in five}) == 5


def test_each_completion_has_the_seed_of_its_index(ask: Ask) -> None:
    # greedy apart, a completion is a function of derive_seed(seed, index) alone
    item = GenerateItem("item", "def add", Sampling(12), seed=7, n=2)
    (first, second), (other, _) = ask([item, replace(item, seed=derive_seed(7, 1))])
    assert first.token_ids != second.token_ids
    assert other.token_ids != second.token_ids  # derived once more


def test_a_short_completion_does_not_wait_for_a_long_one(ask: Ask, driven: Driven) -> None:
    async def order() -> list[str]:
        ended: list[str] = []

        async def follow(item: GenerateItem) -> None:
            async for _ in driven.engine.generate(item):
                ended.append(item.item_id)

        long = GenerateItem("long", "def", Sampling(200, temperature=0.0), seed=1)
        shorts = [GenerateItem(f"short{i}", "def", Sampling(2), seed=i) for i in range(12)]
        await asyncio.gather(follow(long), *map(follow, shorts))
        return ended

    ended = driven.run(order())
    assert ended[-1] == "long"
    assert len(ended) == 13


def test_all_slots_are_used_and_given_back(ask: Ask, driven: Driven) -> None:
    items = [GenerateItem(str(i), "def", Sampling(5), seed=i, n=3) for i in range(10)]
    assert [len(completions) for completions in ask(items)] == [3] * 10
    driven.run(driven.idle())  # a moment after the last one is told


def test_a_prompt_is_computed_once_for_all_its_completions(tiny: Path) -> None:
    from torch import nn
    from torch.nn.modules.module import register_module_forward_pre_hook

    shapes: list[tuple[int, ...]] = []

    def note(module: nn.Module, given: Any) -> None:
        if isinstance(module, nn.Embedding):
            shapes.append(tuple(given[0].shape))

    driven = Driven(GeneratorSettings(model=str(tiny), slots=2))
    hook = register_module_forward_pre_hook(note)
    try:
        (found,) = driven.ask([GenerateItem("i", "def add", Sampling(3), 0, n=7)])
    finally:
        hook.remove()
        driven.close()
    assert len(found) == 7
    assert len([shape for shape in shapes if shape[1] > 1]) == 1, "and what follows by the token"


@pytest.mark.parametrize("driven", [pytest.param("vllm", marks=pytest.mark.vllm)], indirect=True)
def test_vllm_computes_whole_blocks_of_a_prompt_once_for_all_its_completions(
    driven: Driven,
) -> None:
    engine: Any = driven.engine
    prompt = [5 + place * place % 300 for place in range(70)]

    async def reused(number: int) -> int:
        outputs = engine.directly(f"shares {number}", prompt, 4, deltas=False)
        (one,) = [output.num_cached_tokens async for output in outputs]
        return int(one)

    async def all_at_once() -> list[int]:
        return sorted(await asyncio.gather(*map(reused, range(4))))

    assert driven.run(all_at_once()) == [0, 64, 64, 64]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (GenerateItem("i", "", Sampling(4), 0), "empty prompt"),
        (GenerateItem("i", (), Sampling(4), 0), "empty prompt"),
        (GenerateItem("i", (1, 2, 100_000), Sampling(4), 0), "token id 100000: expected ids"),
        (GenerateItem("i", (5,) * 256, Sampling(4), 0), "prompt of 256 tokens: expected fewer"),
        (GenerateItem("i", "def", Sampling(4), 0, n=0), "n: saw 0"),
        (GenerateItem("i", "def", Sampling(4), -1), "seed: saw -1"),
        (GenerateItem("i", "def", Sampling(0), 0), "max_tokens"),
        (GenerateItem("i", "def", Sampling(4), 0, top_logprobs=21), "top_logprobs: saw 21"),
        (GenerateItem("i", "def", Sampling(4), 0, adapter="none"), "adapter 'none': expected"),
    ],
)
def test_a_bad_item_is_refused_and_its_neighbours_are_not(
    ask: Ask, item: GenerateItem, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ask([item])
    assert ask([GenerateItem("good", "def", Sampling(3), 0)])


def test_a_completion_ends_where_the_context_does(ask: Ask) -> None:
    ((completion,),) = ask([GenerateItem("i", (5,) * 250, Sampling(50, top_k=1), 0)])
    assert completion.finish_reason == "stop" or len(completion.token_ids) == 6
    assert completion.prompt_tokens == 250
