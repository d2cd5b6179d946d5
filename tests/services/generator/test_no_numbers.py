"""A model whose logits are no numbers on one prompt: that item fails, and nothing else."""

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from roundsmith.errors import EngineError
from roundsmith.generator.cache import SlotCache, attention_layers, keys_and_values
from roundsmith.generator.checks import check_drawn
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import GenerateItem, Sampling
from tests.services.generator.driven import Driven

POISON = 300
"""A token whose embedding is no number; what is drawn here never has it."""


def poisoned(tiny: Path) -> Driven:
    """Three slots over the tiny model, which can not read one token."""
    driven = Driven(GeneratorSettings(model=str(tiny), slots=3, bucket_tokens=16))
    assert isinstance(driven.engine, TransformersEngine)
    model = driven.engine._scheduler.loaded.model
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        model.model.embed_tokens.weight[POISON] = torch.nan
    return driven


def test_its_item_is_answered_by_an_error_and_the_engine_goes_on(tiny: Path) -> None:
    driven = poisoned(tiny)
    for sampling in (Sampling(5, 0.0), Sampling(5, top_p=0.9)):
        good = [GenerateItem(f"good{i}", (5, 6, 7 + i), sampling, i) for i in range(4)]
        alone = driven.ask(good)
        with pytest.raises(EngineError, match="logits after 0 drawn tokens: saw some that are not"):
            driven.ask([GenerateItem("bad", (5, POISON, 6), sampling, 0, n=5)])
        assert driven.ask(good) == alone
    driven.run(driven.idle())
    driven.close()


def test_a_log_probability_that_is_no_number_is_told_with_its_place() -> None:
    check_drawn((-1.0, 0.0), 3)
    for wrong in (float("nan"), float("-inf")):
        with pytest.raises(EngineError, match="after 3 drawn tokens"):
            check_drawn((-1.0, wrong), 3)


def test_what_a_slot_held_before_is_gone_where_it_was_no_numbers() -> None:
    def prompt(tokens: int, value: float) -> DynamicCache:
        cache = DynamicCache()
        block = torch.full((1, 2, tokens, 4), value)
        cache.update(block, block.clone(), 0)
        return cache

    long, short = prompt(7, torch.nan), prompt(3, 1.0)
    cache = SlotCache(2, long, bucket_tokens=8)
    cache.fill(1, long, 0, 7)
    cache.fill(1, short, 0, 3)
    for block in keys_and_values(attention_layers(cache)[0]):
        assert block[1].sum() == 2 * 3 * 4
