"""Pages of keys and values: who owns which, and that a slot never sees what was there before."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.generator.attention_choice import choose_attention
from roundsmith.generator.decoder import Decoder
from roundsmith.generator.paged_cache import PagedCache, PagedLayer
from roundsmith.generator.pages import PageTable
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.models.loading import load

SLOTS, PAGE_TOKENS = 3, 4


@given(st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 40)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_page_has_one_owner_and_is_taken_again_after_a_release(
    done: list[tuple[int, int]],
) -> None:
    """Each step of `done` is a slot and the tokens it needs; none releases it."""
    table, needed = PageTable(SLOTS, PAGE_TOKENS), [1] * SLOTS
    most = SLOTS
    for slot, tokens in done:
        if tokens:
            before = list(table.pages(slot))
            assert table.pages(slot) == before + table.hold(slot, tokens)
            needed[slot] = max(needed[slot], tokens)
        else:
            table.release(slot)
            needed[slot] = 1
        owned = [page for one in range(SLOTS) for page in table.pages(one)]
        most = max(most, len(owned))
        assert len(set(owned)) == len(owned)
        assert [len(table.pages(one)) for one in range(SLOTS)] == [
            -(-tokens // PAGE_TOKENS) for tokens in needed
        ]
        assert max(owned) < table.num_used
        assert max(owned) < most, "pages that are free are taken before others are made"


def test_a_step_sees_the_tokens_that_a_slot_has_and_no_others() -> None:
    table = PageTable(2, PAGE_TOKENS)
    table.hold(1, 6)
    table.hold(0, 9)
    table.hold(1, 13)
    pages = table.attended([8, 12])
    assert pages.slots_P.tolist() == [0, 1, 1, 0, 0, 1, 1, 0]  # the last is nobody's
    assert (pages.mask_P11B[:7] == 0).sum(-1).flatten().tolist() == [4, 4, 4, 4, 1, 4, 1]
    assert pages.owned_N.tolist() == [0, 3, 4, 1, 2, 5, 6]
    assert pages.begins_S.tolist() == [0, 3]


def paged(tiny: Path) -> Decoder:
    """Three slots that attend by pages."""
    chosen = GeneratorSettings(model=str(tiny), slots=3, bucket_tokens=8, prefill_rows=1)
    loaded = load(chosen)
    choose_attention(loaded, chosen)
    return Decoder(loaded, chosen)


def steps(decoder: Decoder, slot: int, prompt: list[int], number: int) -> list[bytes]:
    """The logits of a slot after each of some steps."""
    (prefix,) = decoder.prefill([prompt], [None])
    decoder.admit(slot, prefix)
    found = []
    for _ in range(number):
        decoder.advance(decoder.draw().tokens)
        found.append(decoder.logits(slot))
    return found


@pytest.mark.parametrize("slot", [0, 2])
def test_a_row_is_computed_as_in_a_new_decoder_where_others_were_before(
    tiny: Path, slot: int
) -> None:
    """Whatever they left in the pages that it takes, be it no number."""
    expected = steps(paged(tiny), slot, [5, 6, 7], 20)
    decoder = paged(tiny)
    for other in range(3):
        steps(decoder, other, list(range(30)), 3)
    assert isinstance(decoder._cache, PagedCache)
    for layer in decoder._cache.layers:
        assert isinstance(layer, PagedLayer)
        for block in (layer.keys, layer.values):
            assert block is not None
            with torch.inference_mode():
                block.fill_(torch.nan)
    for other in range(3):
        decoder.release(other)
    assert steps(decoder, slot, [5, 6, 7], 20) == expected
