"""Scores of 200 random texts against a reference in float64, in 20 random orders and batch sizes.

The bounds are those that docs/grpc.md states, for a text's log-probability a token.
"""

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from roundsmith.lab import MODEL
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score, ScoreItem

Golden = tuple[list[ScoreItem], list[list[float]]]
"""Texts, and every token's log-probability of them."""

FLOAT32_BOUND = 1e-4
BFLOAT16_BOUND, BFLOAT16_MEAN = 1.0, 0.08
TEXTS, ORDERS = 200, 20
AT_ONCE = 25


def random_items(num: int, vocabulary: int, longest: int, seed: int) -> list[ScoreItem]:
    """Prompts and completions of random tokens; every fifth shares its prompt with the one
    before.
    """
    draw = random.Random(seed)

    def ids(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw.randrange(vocabulary) for _ in range(draw.randint(least, most)))

    items: list[ScoreItem] = []
    for number in range(num):
        prompt = items[-1].prompt if number % 5 == 4 else ids(1, longest)
        items.append(ScoreItem(str(number), prompt, ids(1, longest), end=False))
    return items


def vocabulary_of(folder: str) -> int:
    """Number of tokens of a model."""
    return int(json.loads(Path(folder, "config.json").read_text())["vocab_size"])


def references(folder: str, dtype: torch.dtype, items: Sequence[ScoreItem]) -> list[list[float]]:
    """Every token's log-probability by plain forward passes in float64 over the weights of a
    dtype, some texts at a time: no text sees what fills its row up.
    """
    from transformers import AutoModelForCausalLM

    loading: Any = AutoModelForCausalLM
    model = loading.from_pretrained(folder, dtype=dtype).double().eval()
    texts = [torch.tensor([*item.prompt, *item.completion]) for item in items]
    found: list[list[float]] = []
    with torch.inference_mode():
        for start in range(0, len(items), AT_ONCE):
            rows = pad_sequence(texts[start : start + AT_ONCE], batch_first=True)
            for item, row, logits in zip(items[start:], rows, model(rows).logits, strict=False):
                begin, end = len(item.prompt), len(item.prompt) + len(item.completion)
                logprobs = torch.log_softmax(logits[begin - 1 : end - 1], -1)
                found.append(logprobs.gather(1, row[begin:end, None])[:, 0].tolist())
    return found


def golden_of(folder: str, dtype: torch.dtype, longest: int) -> Golden:
    """200 random texts and what they are held against."""
    items = random_items(TEXTS, vocabulary_of(folder), longest, seed=1)
    return items, references(folder, dtype, items)


@pytest.fixture(scope="module")
def pretrained(smollm2: Path) -> Golden:
    """Texts of SmolLM2, whose weights are stored in bfloat16, so that in float32 they are the
    same.
    """
    return golden_of(str(smollm2), torch.bfloat16, longest=8)


def score(scorer: TransformersScorer, items: Sequence[ScoreItem]) -> list[Score]:
    """Scores of items that are asked for at once, in their order."""

    async def ask() -> list[Score]:
        return list(await asyncio.gather(*map(scorer.score, items)))

    return asyncio.run(ask())


def orders(num: int, most_at_once: int, whole: bool) -> list[list[list[int]]]:
    """20 orders of the numbers up to `num`, each in batches of random size; not `whole` is one
    batch of each.
    """
    made: list[list[list[int]]] = []
    for seed in range(ORDERS):
        draw = random.Random(seed)
        order = draw.sample(range(num), num)
        batches: list[list[int]] = []
        while order:
            size = draw.randint(1, most_at_once)
            batches.append(order[:size])
            order = order[size:]
        made.append(batches if whole else batches[:1])
    return made


def check(
    settings: ScorerSettings, golden: Golden, bound: float, at_once: int, whole: bool
) -> list[float]:
    """Scores all texts, then 20 orders of them; the errors of a token by text."""
    scorer = TransformersScorer(settings)
    try:
        items, references = golden
        first = score(scorer, items)
        errors: list[float] = []
        for told, logprobs in zip(first, references, strict=True):
            assert told.token_count == len(logprobs)
            errors.append(abs(told.logprob_sum - sum(logprobs)) / len(logprobs))
        assert max(errors) <= bound
        for batches in orders(TEXTS, at_once, whole):
            for batch in batches:
                again = score(scorer, [items[i] for i in batch])
                assert again == [first[i] for i in batch]
    finally:
        scorer.close()
    return errors


@pytest.mark.slow
def test_200_texts_of_the_lab_model_agree_with_float64_in_20_orders() -> None:
    settings = ScorerSettings(model=str(MODEL), linger_s=0.0)
    golden = golden_of(settings.model, torch.float32, longest=60)
    check(settings, golden, FLOAT32_BOUND, at_once=TEXTS, whole=True)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_200_texts_of_a_pretrained_model_agree_with_float64_in_20_orders(
    smollm2: Path, pretrained: Golden, dtype: str
) -> None:
    settings = ScorerSettings.model_validate({"model": str(smollm2), "dtype": dtype})
    bound = FLOAT32_BOUND if dtype == "float32" else BFLOAT16_BOUND
    errors = check(settings, pretrained, bound, at_once=40, whole=False)
    if dtype == "bfloat16":
        assert sum(errors) / len(errors) <= BFLOAT16_MEAN
