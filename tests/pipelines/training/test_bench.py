"""The bench of trainings compares equal work."""

from pathlib import Path

import torch

from roundsmith.models.products import multiplied, multiplied_parameters
from roundsmith.training.bench import bench, shape_of


def test_trainings_are_compared_with_a_bare_loop_over_the_same_batches(model: Path) -> None:
    full, use, lora = bench(model, batch_size=4, micro_batch_size=2, pairs=1)
    for result in (full, lora):
        assert (result.unit, result.against) == ("tokens/s", "bare loop")
        assert min(result.value, result.against_value) > 0
    assert "LoRA" in lora.case
    assert (use.unit, use.against) == ("TFLOP/s", "matrix products")
    assert 0 < use.ratio < 1


def test_a_tied_output_layer_is_multiplied_and_an_embedding_is_not(model: Path) -> None:
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model)
    matrices = sum(p.numel() for p in loaded.parameters() if p.ndim == 2)
    shape = shape_of(loaded)
    assert shape is not None
    assert multiplied_parameters(loaded) == matrices == shape.parameters
    loaded.config.tie_word_embeddings = False
    loaded.lm_head.weight = torch.nn.Parameter(loaded.lm_head.weight.clone())
    assert multiplied_parameters(loaded) == matrices


def test_a_device_multiplies_something() -> None:
    assert multiplied(torch.device("cpu"), torch.float32) > 1e8
