"""Stop strings end a completion wherever the tokens are cut."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from roundsmith.generator.stops import StopStrings, TextAsDrawn
from roundsmith.models.rendering import decode
from roundsmith.types import Completion, GenerateItem, Sampling

Ask = Callable[[Sequence[GenerateItem]], list[list[Completion]]]


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    """The tiny model's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


@given(
    st.text("ab\nc é", max_size=30),
    st.lists(st.text("ab\nc é", min_size=1, max_size=4), max_size=3),
)
def test_a_stop_is_seen_at_the_token_that_completes_it(
    tokenizer: Any, text: str, stop: list[str]
) -> None:
    # one token a byte: every stop string crosses token boundaries
    ids = [i for byte in text for i in tokenizer(byte)["input_ids"]]
    stops = StopStrings(tokenizer, stop)
    reached = [stops.reached(ids[: n + 1]) for n in range(len(ids))]
    decoded = [tokenizer.decode(ids[: n + 1]) for n in range(len(ids))]
    first = next((n for n, prefix in enumerate(decoded) if any(s in prefix for s in stop)), None)
    assert (reached.index(True) if True in reached else None) == first
    if first is None:
        assert stops.text(ids) == text
    else:
        seen = decoded[first]
        assert stops.text(ids[: first + 1]) == seen[: min(seen.find(s) for s in stop if s in seen)]


def ids_of_bytes(tokenizer: Any) -> dict[int, int]:
    """The token of each byte alone."""
    table: Any = bytes_to_unicode
    return {byte: tokenizer.convert_tokens_to_ids(shown) for byte, shown in table().items()}


HELD = 10
"""Tokens of a byte each that are told of at the latest when they are all there: seven in which a
character may be begun, and what begins one and is replaced as one, up to three.
"""
BEGUN = [*b"\xf0\xa9\xa9\xc3\xc3\xc3\xc3\xc3\xc3\xa9"]
"""Three bytes that begin a character and are replaced as one, further ones, and a character."""


@example(BEGUN)
@given(st.lists(st.sampled_from([*"é☃😀ab".encode(), 0xFF, 0xF0]), max_size=40))
def test_text_is_told_as_soon_as_its_bytes_can_be_no_other_character(
    tokenizer: Any, drawn: list[int]
) -> None:
    by_byte = ids_of_bytes(tokenizer)
    ids = [by_byte[byte] for byte in drawn]
    told, text = "", TextAsDrawn(tokenizer, ())
    for number in range(1, len(ids) + 1):
        told += text.completed(ids[:number])
        assert len(told) >= len(tokenizer.decode(ids[: max(0, number - HELD)]))
    assert tokenizer.decode(ids).startswith(told)


@example(BEGUN, [1] * len(BEGUN))
@given(
    st.lists(st.sampled_from([*"é☃😀ab".encode(), 0xFF, 0xF0]), max_size=40),
    st.lists(st.integers(1, 12), min_size=40, max_size=40),
)
def test_text_is_told_right_where_several_tokens_come_at_once(
    tokenizer: Any, drawn: list[int], steps: list[int]
) -> None:
    by_byte = ids_of_bytes(tokenizer)
    ids = [by_byte[byte] for byte in drawn]
    told, text, number = "", TextAsDrawn(tokenizer, ()), 0
    for step in steps:
        number = min(len(ids), number + step)
        told += text.completed(ids[:number])
        assert tokenizer.decode(ids).startswith(told)
        assert len(told) >= len(tokenizer.decode(ids[: max(0, number - HELD)]))


def test_whole_characters_are_told_where_the_last_is_not_whole(tokenizer: Any) -> None:
    by_byte = ids_of_bytes(tokenizer)
    ids = [by_byte[byte] for byte in "😀☃😀".encode()]
    text = TextAsDrawn(tokenizer, ())
    assert [text.completed(ids[:number]) for number in (9, 11)] == ["😀☃", "😀"]


def test_bytes_that_never_become_a_character_are_told_all_the_same(tokenizer: Any) -> None:
    no_character = ids_of_bytes(tokenizer)[0xFF]
    text = TextAsDrawn(tokenizer, ())
    told = [text.completed([no_character] * number) for number in range(1, 101)]
    assert "".join(told) == "\ufffd" * 93


@pytest.fixture(scope="module")
def byte_fallback() -> Any:
    """A tokenizer that writes what it has no token for as bytes, as those of Llama do."""
    words = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁": 256, "▁a": 257, "b": 258}
    made = Tokenizer(BPE(words, [], byte_fallback=True))
    spaces = (decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0))
    made.decoder = decoders.Sequence(
        [spaces[0], decoders.ByteFallback(), decoders.Fuse(), spaces[1]]
    )
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=made)


@given(st.lists(st.sampled_from(["é", "☃", "😀", "\x41", 256, 257, 258]), max_size=20))
def test_characters_that_a_tokenizer_writes_as_bytes_are_told_as_the_whole_has_them(
    byte_fallback: Any, drawn: list[str | int]
) -> None:
    ids: list[int] = []
    for one in drawn:
        ids += [one] if isinstance(one, int) else one.encode()
    text = TextAsDrawn(byte_fallback, ())
    told = "".join(text.completed(ids[:number]) for number in range(1, len(ids) + 1))
    assert told == decode(byte_fallback, ids)


def test_a_completion_is_cut_before_the_stop_and_keeps_its_tokens(ask: Ask) -> None:
    item = GenerateItem("i", "def add(a, b):\n", Sampling(60), seed=11)
    ((free,),) = ask([item])
    middle = free.text[len(free.text) // 2 :][:3]
    ((stopped,),) = ask([GenerateItem("i", item.prompt, Sampling(60, stop=(middle,)), seed=11)])
    assert stopped.finish_reason == "stop"
    assert stopped.text == free.text[: free.text.index(middle)]
    assert stopped.token_ids == free.token_ids[: len(stopped.token_ids)]
    assert len(stopped.logprobs) == len(stopped.token_ids) < len(free.token_ids)


def test_the_end_token_ends_a_completion_and_is_no_text(ask: Ask, tokenizer: Any) -> None:
    items = [GenerateItem(str(seed), "def", Sampling(200), seed) for seed in range(20)]
    ended = [c for (c,) in ask(items) if c.finish_reason == "stop"]
    assert ended
    for completion in ended:
        assert completion.token_ids.index(tokenizer.eos_token_id) == len(completion.token_ids) - 1
        assert "<|end|>" not in completion.text
