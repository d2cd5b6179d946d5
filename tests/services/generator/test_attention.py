"""How decode steps attend: by two products where that is quicker, to the same logits."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.generator.attention import NAME, attend_like, choose_attention, two_products
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.lab import MODEL
from roundsmith.models.loading import load

CLOSE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}


@given(
    seed=st.integers(0, 2**31),
    slots=st.integers(1, 5),
    shared=st.integers(1, 3),
    groups=st.integers(1, 3),
    attended=st.integers(1, 70),
    dtype=st.sampled_from(list(CLOSE)),
)
@settings(max_examples=60, deadline=None)
def test_two_products_are_attention_in_float64_but_for_rounding(
    seed: int, slots: int, shared: int, groups: int, attended: int, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random).to(dtype)

    query, key = drawn(slots, shared * groups, 1, 8), drawn(slots, shared, attended, 8)
    value, scaling = drawn(slots, shared, attended, 8), 8**-0.5
    lengths = torch.randint(1, attended + 1, (slots,), generator=random)
    seen = torch.arange(attended)[None, :] < lengths[:, None]
    mask = torch.zeros(slots, 1, 1, attended, dtype=dtype)
    mask.masked_fill_(~seen[:, None, None, :], -torch.inf)
    ours = two_products(query, key, value, mask, scaling)
    keys, values = (one.double().repeat_interleave(groups, 1) for one in (key, value))
    whole = torch.nn.functional.scaled_dot_product_attention(
        query.double(), keys, values, attn_mask=mask.double(), scale=scaling
    )
    assert ours.shape == (slots, 1, shared * groups, 8)
    assert torch.allclose(ours.double(), whole.transpose(1, 2), rtol=0, atol=CLOSE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_whose_heads_share_keys_attends_by_two_products(tiny: Path, dtype: str) -> None:
    chosen = GeneratorSettings(model=str(tiny), dtype=dtype, slots=4, bucket_tokens=16)
    loaded = load(chosen)
    choose_attention(loaded, chosen)
    assert loaded.model.config._attn_implementation == NAME
    other = load(chosen)
    attend_like(other, loaded)
    assert other.model.config._attn_implementation == NAME


def test_the_labs_model_attends_as_torch_does() -> None:
    chosen = GeneratorSettings(model=str(MODEL), slots=4)
    loaded = load(chosen)
    choose_attention(loaded, chosen)
    assert loaded.model.config._attn_implementation == "sdpa"


def test_a_model_that_gives_other_logits_by_two_products_keeps_its_own(tiny: Path) -> None:
    """Such as one whose attention is more than its scores; here its layers are made to differ."""
    chosen = GeneratorSettings(model=str(tiny), slots=4, bucket_tokens=16)
    loaded = load(chosen)
    for layer in loaded.model.model.layers:
        layer.self_attn.register_forward_pre_hook(_turned_by_ours, with_kwargs=True)
    choose_attention(loaded, chosen)
    assert loaded.model.config._attn_implementation == "sdpa"


def _turned_by_ours(
    layer: torch.nn.Module, args: tuple[object, ...], given: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    if getattr(layer.config, "_attn_implementation", "") == NAME:
        hidden = given["hidden_states"]
        assert isinstance(hidden, torch.Tensor)
        given["hidden_states"] = -hidden
    return args, given
