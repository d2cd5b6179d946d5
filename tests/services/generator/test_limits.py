"""One item that asks for far too much is refused at once, and costs the others nothing."""

import time
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from roundsmith.errors import ConfigError, TooLong
from roundsmith.generator.checks import MAX_COMPLETIONS, MAX_STOP_CHARACTERS, MAX_STOPS
from roundsmith.models.rendering import render
from roundsmith.types import ChatMessage, GenerateItem, Prompt, Sampling
from tests.services.generator.driven import Driven

SHORT = Sampling(2, temperature=0.0)
CONTEXT = 256
"""Of the tiny model."""
AT_ONCE_S = 2.0
"""Of CPU time, which waiting for a core is not: to tokenize as much takes ten times as long."""


@pytest.mark.parametrize(
    "prompt",
    ["hello world " * 500_000, (ChatMessage("user", "hello world " * 500_000),), (1,) * 9_000_000],
    ids=["text", "chat", "ids"],
)
def test_a_prompt_of_millions_is_refused_at_once(driven: Driven, prompt: Prompt) -> None:
    begun = time.process_time()
    with pytest.raises(TooLong, match=f"the context of {CONTEXT}"):
        driven.ask([GenerateItem("huge", prompt, SHORT, 1)])
    assert time.process_time() - begun < AT_ONCE_S
    ((one,),) = driven.ask([GenerateItem("small", "def add", SHORT, 1)])
    assert len(one.token_ids) == 2


def test_a_prompt_of_many_characters_and_few_tokens_is_read_to_its_end(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    word = " sum of both numbers"
    text = word * (8 * CONTEXT // len(word) + 40)
    ids = tokenizer(text)["input_ids"]
    assert len(text) > 8 * CONTEXT
    assert render(tokenizer, text, 400, context_tokens=len(ids)) == ids
    assert render(tokenizer, text, 400) == ids


def test_so_many_completions_of_an_item_are_refused_as_no_machine_holds(driven: Driven) -> None:
    begun = time.process_time()
    for n in (MAX_COMPLETIONS + 1, 2**32 - 1):
        with pytest.raises(ConfigError, match=rf"n: saw {n}, expected 1 to {MAX_COMPLETIONS}"):
            driven.ask([GenerateItem("many", "def", SHORT, 1, n=n)])
    assert time.process_time() - begun < AT_ONCE_S


def test_more_stop_strings_than_can_be_looked_for_are_refused(driven: Driven) -> None:
    stops = tuple(f"zz{number}" for number in range(MAX_STOPS + 1))
    with pytest.raises(ConfigError, match=rf"stop: saw {MAX_STOPS + 1} of them, expected at most"):
        driven.ask([GenerateItem("many", "def", Sampling(2, stop=stops), 1)])
    driven.ask([GenerateItem("as many", "def", Sampling(2, stop=stops[:-1]), 1)])


def test_a_longer_stop_string_than_is_looked_for_is_refused(driven: Driven) -> None:
    longest = "z" * MAX_STOP_CHARACTERS
    seen = rf"stop: saw one of {MAX_STOP_CHARACTERS + 1} characters, expected at most"
    with pytest.raises(ConfigError, match=seen):
        driven.ask([GenerateItem("long", "def", Sampling(2, stop=("end", longest + "z")), 1)])
    driven.ask([GenerateItem("as long", "def", Sampling(2, stop=("end", longest)), 1)])
