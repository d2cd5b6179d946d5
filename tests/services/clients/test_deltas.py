"""Deltas of a completion that is begun again are told once, however they were cut."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from roundsmith.clients.deltas import DeltasOf
from roundsmith.types import CompletionDelta

WORDS = ("def ", "f", "", "(a):", "\n", "é")
"""Of token i; the third completes no text."""


def cut(ids: Sequence[int], at: Sequence[int]) -> list[CompletionDelta]:
    """The deltas of a drawing that is told in pieces which end before these places."""
    ends = sorted({place for place in at if 0 < place < len(ids)} | {len(ids)})
    return [
        CompletionDelta(
            0,
            begin,
            tuple(ids[begin:end]),
            tuple(-float(place) for place in range(begin, end)),
            "".join(WORDS[i] for i in ids[begin:end]),
        )
        for begin, end in zip([0, *ends], ends, strict=False)
    ]


tokens = st.lists(st.integers(0, len(WORDS) - 1), min_size=1, max_size=30)
places = st.lists(st.integers(1, 29), max_size=8)


@given(tokens, places, places, st.integers(0, 8))
def test_the_same_drawn_again_tells_every_token_once_and_all_text(
    ids: list[int], first: list[int], second: list[int], kept: int
) -> None:
    deltas = DeltasOf()
    told = [deltas.new(delta) for delta in (*cut(ids, first)[:kept], *cut(ids, second))]
    new = [delta for delta in told if delta is not None]
    assert [i for delta in new for i in delta.token_ids] == ids
    assert [p for delta in new for p in delta.logprobs] == [-float(i) for i in range(len(ids))]
    assert "".join(delta.text for delta in new) == "".join(WORDS[i] for i in ids)
    starts = [sum(len(delta.token_ids) for delta in new[:at]) for at in range(len(new))]
    assert [delta.offset for delta in new] == starts


@given(tokens, tokens, places, places, st.integers(1, 8))
def test_another_drawing_is_told_from_a_smaller_offset_on(
    ids: list[int], others: list[int], first: list[int], second: list[int], kept: int
) -> None:
    deltas, held = DeltasOf(), list[int]()
    for delta in (*cut(ids, first)[:kept], *cut(others, second)):
        if (new := deltas.new(delta)) is not None:
            assert new.offset <= len(held)
            held[new.offset :] = new.token_ids
    assert held[: len(others)] == others
