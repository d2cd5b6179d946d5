"""The reckoning of memory holds against models that exist, and the page shows what it gives."""

from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from roundsmith.training.memory import SHAPES, WAYS, Shape, Way, needed_gb, states, table

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
TINY = Shape("tiny", 64, 3, 96, 4, 2, 300)


def tiny() -> LlamaForCausalLM:
    config = LlamaConfig(
        hidden_size=64,
        num_hidden_layers=3,
        intermediate_size=96,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=300,
    )
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]  # untyped


def test_parameters_and_adapters_are_those_of_a_real_model() -> None:
    from peft import LoraConfig, get_peft_model

    model = tiny()
    matrices = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    assert TINY.parameters == matrices
    adapted = get_peft_model(model, LoraConfig(r=5, target_modules="all-linear"))
    assert TINY.adapters(5) == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_the_papers_models_have_the_parameters_that_they_are_named_for() -> None:
    counts = [shape.parameters / 1e9 for shape in SHAPES]
    assert counts == pytest.approx([6.74, 15.9, 33.3], rel=0.01)


def test_adamw_takes_what_is_reckoned() -> None:
    import torch

    model = tiny()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    optimizer = torch.optim.AdamW(matrices)
    model(input_ids=torch.arange(8)[None], labels=torch.arange(8)[None]).loss.backward()
    optimizer.step()
    held = sum(p.nbytes + (p.grad.nbytes if p.grad is not None else 0) for p in matrices)
    kept = (value for state in optimizer.state.values() for value in state.values())
    held += sum(value.nbytes for value in kept if value.ndim == 2)
    copies = 2 * TINY.parameters
    assert states(TINY, WAYS[0], 1) == held + copies


def test_sharding_divides_and_lora_leaves_out_what_is_not_trained() -> None:
    seven, full, shared = SHAPES[0], WAYS[0], Way("sharded", sharded=True)
    assert states(seven, shared, 1) == states(seven, full, 1), "one GPU shares with none"
    assert states(seven, shared, 8) < states(seven, full, 8) / 6
    assert needed_gb(seven, Way("lora", lora_rank=16), 1, 1536) < 45
    checkpointed, kept = (needed_gb(seven, full, 1, 16384, how) for how in (True, False))
    assert checkpointed < kept - 50


def test_the_page_shows_the_table() -> None:
    lines = ["| " + " | ".join(row) + " |" for row in table(8, 1536)]
    text = PAGE.read_text()
    assert all(line in text for line in lines), "\n".join(lines)
