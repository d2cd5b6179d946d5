"""A training that does not fit: what it says, and that other failures stay what they are."""

import pytest
import torch

from roundsmith.errors import ConfigError
from roundsmith.recipes.stage import Stage
from roundsmith.training.no_memory import NoMemory, no_memory_told


def told(stage: Stage) -> str:
    with pytest.raises(NoMemory) as caught, no_memory_told(stage):
        torch.empty(2**58)
    assert isinstance(caught.value.__cause__, RuntimeError)
    return str(caught.value)


def test_a_training_without_memory_names_the_settings_that_need_less() -> None:
    said = told(Stage(micro_batch_size=16, max_length=512))
    assert "ran out of memory (RuntimeError: " in said
    assert "[training] micro_batch_size below 16, or gradient_checkpointing = true" in said


def test_what_is_set_already_is_not_named() -> None:
    small = Stage(micro_batch_size=1, gradient_checkpointing=True, sharded=True, lora_rank=8)
    assert "[training] max_length below 1536" in told(small)


@pytest.mark.parametrize("failure", [RuntimeError("shapes do not fit"), ConfigError("no rows")])
def test_another_failure_stays_what_it_is(failure: Exception) -> None:
    with pytest.raises(type(failure), match=str(failure)), no_memory_told(Stage()):
        raise failure
