"""The `transformers` engine on a GPU: steps attend by the flash kernel, replayed as graphs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from roundsmith.generator import attention_choice, flash_cache
from roundsmith.generator.attention_choice import choose_attention
from roundsmith.generator.company import same_in_company
from roundsmith.generator.decoder import Decoder
from roundsmith.generator.flash_cache import NAME, FlashCache
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.generator.step import Step
from roundsmith.hashing import weights_sha256
from roundsmith.lab import MODEL, MODELS
from roundsmith.models.loading import LoadedModel, load
from roundsmith.types import GenerateItem, Sampling
from tests.services.flash import emulated
from tests.services.generator.driven import Driven

PROMPTS = (
    'def count_vowels(text):\n    """ Return how many vowels the text has. """\n',
    "def add(a, b):\n",
    "import re\n\n\ndef words(text):\n    return",
)
CLOSE = {"float32": 2e-4, "bfloat16": 0.2}
"""How far the log-probability of a drawn token may lie from that of the float64 reference."""
gpu = pytest.mark.gpu


def served(dtype: str, **settings: Any) -> GeneratorSettings:
    """Settings of the lab's model on the GPU."""
    given = {"model": str(MODEL), "device": "cuda", "dtype": dtype, "slots": 8} | settings
    return GeneratorSettings.model_validate(given)


def chosen(settings: GeneratorSettings) -> LoadedModel:
    """The model with the attention that the engine would choose."""
    loaded = load(settings)
    choose_attention(loaded, settings)
    return loaded


def test_a_step_by_the_kernel_draws_what_a_step_by_pages_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = GeneratorSettings(model=str(MODEL), device="cpu", slots=6)
    items = [
        GenerateItem(
            str(number),
            f"def f{number}(a):\n" * (1 + number % 4),
            Sampling(10 + 37 * number % 300, 0.8, top_p=0.9, presence_penalty=0.5),
            seed=number,
        )
        for number in range(24)
    ]
    by_pages = drawn(settings, items)

    def choose(loaded: LoadedModel, _: GeneratorSettings) -> None:
        loaded.model.set_attn_implementation(NAME)

    def run(step: Step, cache: FlashCache, tokens: list[int], lengths: list[int], **_: bool) -> Any:
        assert isinstance(cache, FlashCache)
        given = cache.step(lengths)
        return step._forward(cache, torch.tensor(tokens), torch.tensor(lengths), given)

    monkeypatch.setattr(attention_choice, "choose_attention", choose)
    monkeypatch.setattr(Step, "run", run)
    with emulated(flash_cache):
        assert drawn(settings, items) == by_pages


def drawn(settings: GeneratorSettings, items: list[GenerateItem]) -> list[tuple[int, ...]]:
    """The tokens of each item, by an engine of its own."""
    driven = Driven(settings)
    try:
        return [answer.token_ids for (answer,) in driven.ask(items)]
    finally:
        driven.close()


@gpu
def test_bfloat16_attends_by_the_flash_kernel_and_replays_a_graph() -> None:
    settings = served("bfloat16")
    loaded = chosen(settings)
    assert loaded.model.config._attn_implementation == NAME
    decoder = Decoder(loaded, settings)
    (prefix,) = decoder.prefill([loaded.render(PROMPTS[0])], [None])
    decoder.admit(0, prefix)
    decoder.advance([5] * 8)
    assert decoder._step._graph is not None
    assert isinstance(decoder._cache, FlashCache)
    graph, capacity = decoder._step._graph, decoder._cache.capacity
    decoder.advance([6] * 8)
    assert decoder._step._graph is graph
    for _ in range(capacity):
        decoder.advance([7] * 8)
    assert decoder._step._graph is not graph, "another capacity is another graph"


@gpu
def test_float32_keeps_the_models_own_attention() -> None:
    assert chosen(served("float32")).model.config._attn_implementation == "sdpa"


@gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_drawn_token_has_the_log_probability_that_float64_gives_it(dtype: str) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=getattr(torch, dtype)).double()
    items = [
        GenerateItem(str(number), PROMPTS[number % 3], Sampling(20 + 13 * number, 0.8), seed=number)
        for number in range(24)
    ]
    driven = Driven(served(dtype))
    try:
        answers = driven.ask(items)
        tokenizer = load(served(dtype)).tokenizer
    finally:
        driven.close()
    for item, (answer,) in zip(items, answers, strict=True):
        prompt = tokenizer(item.prompt)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *answer.token_ids]])).logits[0]
        logprobs = logits[len(prompt) - 1 : -1].log_softmax(-1)
        exact = logprobs[range(len(answer.token_ids)), list(answer.token_ids)]
        assert list(answer.logprobs) == pytest.approx(exact.tolist(), abs=CLOSE[dtype])


@gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_completion_is_the_same_alone_and_in_company(dtype: str) -> None:
    settings = served(dtype)
    assert same_in_company(chosen(settings), settings)


@gpu
def test_after_a_reload_samples_are_those_of_the_new_weights() -> None:
    items = [GenerateItem(str(n), PROMPTS[n % 3], Sampling(40), seed=n) for n in range(16)]
    new = Path(MODELS["lab-1"])
    driven = Driven(served("bfloat16"))
    try:
        before = driven.ask(items)
        driven.run(driven.engine.reload(new, weights_sha256(new)))
        after = driven.ask(items)
    finally:
        driven.close()
    fresh = Driven(served("bfloat16", model=str(new)))
    try:
        expected = fresh.ask(items)
    finally:
        fresh.close()
    assert [one[0].token_ids for one in after] == [one[0].token_ids for one in expected]
    assert [one[0].token_ids for one in before] != [one[0].token_ids for one in expected]
