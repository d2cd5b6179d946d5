"""How decode steps attend: page by page, to the same numbers wherever the pages lie."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.generator.attention import NAME, attend_paged
from roundsmith.generator.attention_choice import attend_like, choose_attention
from roundsmith.generator.pages import PageTable
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.lab import MODEL
from roundsmith.models.loading import load

CLOSE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
WIDTH, PAGE_TOKENS = 8, 4
Row = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Query, keys and values of a row: [H, D], [K, L, D] and [K, L, D]."""


def drawn_row(
    random: torch.Generator, shared: int, groups: int, length: int, dtype: torch.dtype
) -> Row:
    query, keys, values = (
        torch.randn(*shape, generator=random).to(dtype)
        for shape in ((shared * groups, WIDTH), *[(shared, length, WIDTH)] * 2)
    )
    return query, keys, values


def attended(rows: Sequence[Row], order: Sequence[int]) -> torch.Tensor:
    """What rows see in as many slots, [S, H, D], with pages taken in an order of slots."""
    table = PageTable(len(rows), PAGE_TOKENS)
    lengths = [keys.shape[1] for _, keys, _ in rows]
    for slot in order:
        table.hold(slot, lengths[slot])
    shared = rows[0][1].shape[0]
    blocks = [
        torch.zeros(table.num_used, shared, PAGE_TOKENS, WIDTH, dtype=rows[0][1].dtype)
        for _ in range(2)
    ]
    for slot, (_, *kept) in enumerate(rows):
        for block, tokens in zip(blocks, kept, strict=True):
            for index in range(lengths[slot]):
                page = table.pages(slot)[index // PAGE_TOKENS]
                block[page, :, index % PAGE_TOKENS] = tokens[:, index]
    query = torch.stack([query for query, _, _ in rows])[:, :, None]
    pages = table.attended([length - 1 for length in lengths])
    return attend_paged(query, blocks[0], blocks[1], pages, WIDTH**-0.5)[:, 0]


@given(
    seed=st.integers(0, 2**31),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    shared=st.integers(1, 3),
    groups=st.integers(1, 3),
    dtype=st.sampled_from(list(CLOSE)),
)
@settings(max_examples=60, deadline=None)
def test_attention_by_pages_is_attention_in_float64_but_for_rounding(
    seed: int, lengths: list[int], shared: int, groups: int, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(seed)
    rows = [drawn_row(random, shared, groups, length, dtype) for length in lengths]
    ours = attended(rows, range(len(rows)))
    for row, (query, keys, values) in enumerate(rows):
        keys, values = (one.double().repeat_interleave(groups, 0) for one in (keys, values))
        whole = torch.nn.functional.scaled_dot_product_attention(
            query.double()[:, None], keys, values, scale=WIDTH**-0.5
        )
        assert torch.allclose(ours[row].double(), whole[:, 0], rtol=0, atol=CLOSE[dtype])


@given(
    seed=st.integers(0, 2**31),
    others=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    order=st.permutations(range(4)),
    dtype=st.sampled_from(list(CLOSE)),
)
@settings(max_examples=60, deadline=None)
def test_what_a_row_sees_is_the_same_wherever_its_pages_lie(
    seed: int, others: list[int], order: list[int], dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(seed)
    mine, *short = (drawn_row(random, 2, 3, length, dtype) for length in (21, 1, 1, 1))
    company = [drawn_row(random, 2, 3, length, dtype) for length in others]
    alone = attended([mine, *short], range(4))[0]
    assert torch.equal(attended([mine, *company], order)[0], alone)
    assert torch.equal(attended([*company, mine], order)[3], alone)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_models_steps_attend_by_pages_on_a_cpu(tiny: Path, dtype: str) -> None:
    chosen = GeneratorSettings(model=str(tiny), dtype=dtype, slots=4, bucket_tokens=16)
    loaded = load(chosen)
    choose_attention(loaded, chosen)
    assert loaded.model.config._attn_implementation == NAME
    other = load(chosen)
    attend_like(other, loaded)
    assert other.model.config._attn_implementation == NAME


def test_the_labs_model_attends_by_pages() -> None:
    chosen = GeneratorSettings(model=str(MODEL), slots=4)
    loaded = load(chosen)
    choose_attention(loaded, chosen)
    assert loaded.model.config._attn_implementation == NAME


def test_a_model_that_gives_other_logits_by_pages_keeps_its_own(tiny: Path) -> None:
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
