"""What a score is: checked against a plain forward pass in float64, in any order and company."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from roundsmith.errors import ConfigError
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ChatMessage, Score, ScoreItem

ScoreAll = Callable[[Sequence[ScoreItem]], list[Score]]
WORDS = ("def add(a, b):", "\n    return ", "### Code\n", "assert ", "x", "[1, 2, 3]", "é the fox ")
BOUND = 2e-6
"""Largest error of one token's log-probability against float64, on the tiny model."""


@pytest.fixture(scope="module")
def plain(tiny: Path) -> tuple[Any, Any]:
    """Model in float64 and tokenizer, as transformers loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).double()
    return model, AutoTokenizer.from_pretrained(tiny)


def texts(least: int) -> st.SearchStrategy[str]:
    """Texts of mixed length."""
    return st.lists(st.sampled_from(WORDS), min_size=least, max_size=12).map("".join)


def items() -> st.SearchStrategy[ScoreItem]:
    """Items of every kind that can be scored."""
    ended = st.builds(ScoreItem, st.just("i"), texts(1), texts(0), st.just(True))
    open_ended = st.builds(ScoreItem, st.just("i"), texts(1), texts(1), st.just(False))
    asked = st.builds(lambda prompt: ScoreItem("i", prompt, p_yes=True), texts(1))
    return ended | open_ended | asked


def reference(plain: tuple[Any, Any], prompt: list[int], completion: list[int]) -> float:
    """The sum of log-probabilities by one plain forward pass in float64."""
    model, _ = plain
    with torch.inference_mode():
        logprobs = torch.log_softmax(model(torch.tensor([prompt + completion])).logits[0], -1)
    return sum(logprobs[len(prompt) - 1 + t, token].item() for t, token in enumerate(completion))


@settings(max_examples=25, deadline=None)
@given(st.lists(items(), min_size=2, max_size=24), st.randoms(use_true_random=False))
def test_a_score_is_bitwise_the_same_in_any_order_and_company(
    score_all: ScoreAll, together: list[ScoreItem], shuffler: random.Random
) -> None:
    scores = score_all(together)
    assert score_all(together[:1]) == scores[:1]
    order = list(range(len(together)))
    shuffler.shuffle(order)
    assert score_all([together[i] for i in order]) == [scores[i] for i in order]


@settings(max_examples=25, deadline=None)
@given(texts(1), texts(0), st.booleans())
def test_a_score_is_that_of_a_plain_forward_pass_over_the_completion_alone(
    score_all: ScoreAll, plain: tuple[Any, Any], prompt: str, completion: str, end: bool
) -> None:
    _, tokenizer = plain
    ids = tokenizer(completion)["input_ids"] + [tokenizer.eos_token_id] * end
    if not ids:
        return
    (score,) = score_all([ScoreItem("i", prompt, completion, end)])
    golden = reference(plain, tokenizer(prompt)["input_ids"], ids)
    assert score.token_count == len(ids)
    assert abs(score.logprob_sum - golden) <= BOUND * len(ids)
    assert score.perplexity == pytest.approx(math.exp(-golden / len(ids)), rel=1e-4)


def test_p_yes_compares_the_two_logits_after_the_prompt(
    score_all: ScoreAll, plain: tuple[Any, Any]
) -> None:
    model, tokenizer = plain
    yes, no = (tokenizer(word)["input_ids"] for word in ("Yes", "No"))
    assert len(yes) == len(no) == 1
    prompt = "### Code\ndef add(a, b):\n    return a + b\n"
    with torch.inference_mode():
        logits = model(torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1]
    golden = torch.softmax(logits[[yes[0], no[0]]], -1)[0].item()
    (score,) = score_all([ScoreItem("i", prompt, p_yes=True)])
    assert score.p_yes == pytest.approx(golden, abs=1e-6)
    assert (score.token_count, score.logprob_sum) == (0, 0.0)


def test_a_score_tells_the_tokens_of_its_prompt(
    score_all: ScoreAll, plain: tuple[Any, Any]
) -> None:
    prompt = "### Code\ndef add(a, b):\n    return a + b\n"
    num_tokens = len(plain[1](prompt)["input_ids"])
    asked, scored = score_all([ScoreItem("a", prompt, p_yes=True), ScoreItem("s", prompt, "Yes")])
    assert asked.prompt_tokens == scored.prompt_tokens == num_tokens
    assert asked.scored_tokens == num_tokens + 1, "the prompt that was read, and the answer"
    assert scored.scored_tokens == scored.token_count, "a completion's prompt is not counted"


@pytest.mark.parametrize("top_k", [1, 5, 200])
def test_p_yes_by_top_k_is_the_rule_that_inverse_coder_released(
    score_all: ScoreAll, plain: tuple[Any, Any], top_k: int
) -> None:
    model, tokenizer = plain
    yes, no = (tokenizer(word)["input_ids"][0] for word in ("Yes", "No"))
    assert len(tokenizer("As")["input_ids"]) > 1, "this tokenizer has no stand-in"
    prompts = [("assert ", "class A:", "Yes", "\n")[i % 4] + " x" * i for i in range(40)]
    scores = score_all(
        [ScoreItem(str(i), p, p_yes=True, p_yes_top_k=top_k) for i, p in enumerate(prompts)]
    )
    kinds = set()
    for prompt, score in zip(prompts, scores, strict=True):
        with torch.inference_mode():
            logits = model(torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1]
        best = torch.topk(torch.log_softmax(logits, -1), top_k)
        seen = dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        z_yes, z_no = seen.get(yes, -100.0), seen.get(no, -100.0)
        golden = math.exp(z_yes) / (math.exp(z_yes) + math.exp(z_no))
        assert score.p_yes == pytest.approx(golden, abs=1e-5)
        kinds.add((yes in seen, no in seen))
    assert (False, False) in kinds or top_k == 200
    assert len(kinds) > 1 or top_k < 200


def test_the_boundary_is_between_ids_even_where_the_joined_text_would_merge(
    score_all: ScoreAll, plain: tuple[Any, Any]
) -> None:
    _, tokenizer = plain
    prompt, completion = "    ret", "urn a"
    apart = tokenizer(prompt)["input_ids"], tokenizer(completion)["input_ids"]
    assert apart[0] + apart[1] != tokenizer(prompt + completion)["input_ids"]
    by_text, by_ids = score_all(
        [ScoreItem("t", prompt, completion), ScoreItem("i", tuple(apart[0]), tuple(apart[1]))]
    )
    assert by_text == by_ids
    golden = reference(plain, apart[0], [*apart[1], tokenizer.eos_token_id])
    assert abs(by_text.logprob_sum - golden) <= BOUND * by_text.token_count


def test_many_completions_of_one_prompt_share_its_work_and_keep_their_bits(
    tiny: Path, score_all: ScoreAll
) -> None:
    prompt = "def add(a, b):\n" * 9
    items = [ScoreItem(str(i), prompt, f"    return a + {i}\n" * (1 + i % 5)) for i in range(40)]
    fresh = TransformersScorer(ScorerSettings(model=str(tiny), forward_tokens=128, threads=2))

    async def together() -> list[Score]:
        return list(await asyncio.gather(*map(fresh.score, items)))

    shared = asyncio.run(together())
    length = len(fresh._worker.loaded.render(prompt)) - 1
    registry = CollectorRegistry()
    for collector in fresh.metrics.collectors:
        registry.register(collector)
    assert registry.get_sample_value("roundsmith_scorer_reused_tokens_total") == 39 * length
    fresh.close()
    for item, score in zip(items, shared, strict=True):
        assert score_all([item]) == [score]


def test_a_chat_prompt_is_scored_after_the_template(
    score_all: ScoreAll, plain: tuple[Any, Any]
) -> None:
    _, tokenizer = plain
    rendered = tuple(tokenizer("<|user|>add<|end|><|assistant|>")["input_ids"])
    chat, ids = score_all(
        [ScoreItem("c", (ChatMessage("user", "add"),), "x"), ScoreItem("i", rendered, "x")]
    )
    assert chat == ids


def test_long_and_short_texts_fit_up_to_the_context(score_all: ScoreAll) -> None:
    fits = ScoreItem("fits", (5,) * 200, (6,) * 56, end=True)  # the last target is not an input
    (score,) = score_all([fits])
    assert score.token_count == 57


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (ScoreItem("i", "", "x"), "empty prompt"),
        (ScoreItem("i", "x", "", end=False), "empty completion: saw no token"),
        (ScoreItem("i", "x", (1, 70_000)), "token id 70000"),
        (ScoreItem("i", (5,) * 200, (6,) * 57), "257 tokens of prompt and completion"),
        (ScoreItem("i", (ChatMessage("bot", "x"),), "y"), r"messages\[0\].role: saw 'bot', exp"),
        (ScoreItem("i", "x", "y", p_yes_top_k=5), "p_yes_top_k: saw 5 for a completion"),
    ],
)
def test_a_bad_item_is_refused_and_its_neighbours_are_not(
    score_all: ScoreAll, item: ScoreItem, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        score_all([ScoreItem("good", "x", "y"), item])
    assert score_all([ScoreItem("good", "x", "y")])[0].token_count == 2
