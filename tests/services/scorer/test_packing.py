"""Which texts make a pass: little is padding, nobody starves, a prompt is computed once."""

import random
from collections.abc import Sequence

import pytest

from roundsmith.scorer.packing import Packing, Pass, Waiting
from roundsmith.scorer.rows import Row
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ScoreItem

ITEM = ScoreItem("i", "prompt", "completion")
DEFAULTS = ScorerSettings(model="lab")
TOKENS, BLOCK = DEFAULTS.tokens("cpu"), DEFAULTS.block("cpu")


def row(prompt: Sequence[int], num: int) -> Row:
    """A completion of so many tokens."""
    return Row(tuple(prompt), (1,) * num, (1,) * num)


def packing(linger_s: float = 1.0, prefix_bytes: int = 2**20) -> Packing:
    """An empty one."""
    return Packing(TOKENS, BLOCK, linger_s, prefix_bytes)


def waiting(since: float = 0.0) -> Waiting:
    """Somebody who asked at that time."""
    return Waiting(ITEM, since=since)


def all_passes(packed: Packing, now: float) -> list[Pass]:
    """Everything that is taken by then."""
    made: list[Pass] = []
    while (following := packed.take(now)) is not None:
        made.append(following)
        packed.computed(following)
    return made


def padding_share(passes: Sequence[Pass]) -> float:
    """Places that hold no text."""
    texts = sum(made.num_texts for made in passes)
    return 1.0 - texts / sum(made.tokens for made in passes)


@pytest.mark.parametrize("longest", [12, 60, 300, 2000])
def test_less_than_one_place_in_twenty_is_padding_at_random_lengths(longest: int) -> None:
    draw = random.Random(longest)
    packed = packing()
    for number in range(1000):
        prompt = (number,) * draw.randint(1, longest)
        packed.add(waiting(), row(prompt, draw.randint(1, longest)))
    passes = all_passes(packed, 0.5)
    assert len(packed) < 1000 * 0.2, "what is left fills no pass"
    assert padding_share(passes) < 0.05


@pytest.mark.parametrize("length", [33, 103, 121, 171, 241, 257, 400])
def test_less_than_one_place_in_twenty_is_padding_where_all_are_as_long(length: int) -> None:
    packed = packing()
    for number in range(200):
        packed.add(waiting(), row((number,) * length, length))
    passes = all_passes(packed, 0.5)
    assert all(made.tokens - made.num_texts < BLOCK for made in passes)
    assert padding_share(passes) < 0.05


def test_every_token_is_in_one_place_and_every_row_ends_once() -> None:
    draw = random.Random(3)
    packed = packing()
    rows = [
        row((draw.randint(1, 20),) * draw.randint(0, 90), draw.randint(1, 700)) for _ in "x" * 90
    ]
    for one in rows:
        packed.add(waiting(), one)
    passes = all_passes(packed, 5.0)
    for made in passes:
        places = [p for run in made.runs for p in range(run.at, run.at + run.stop - run.start)]
        assert len(places) == len(set(places)) <= TOKENS
        assert all(run.start % BLOCK == 0 for run in made.runs)
    tokens = sum(made.num_texts for made in passes)
    prompts = {one.prefix for one in rows}
    assert tokens == sum(map(len, prompts)) + sum(len(one.inputs) for one in rows)
    finished = [work for made in passes for work in made.finished]
    assert len(finished) == len(set(finished)) == len(rows)
    assert len(packed) == 0


def test_a_full_pass_goes_at_once_and_others_linger() -> None:
    packed = packing(linger_s=1.0)
    packed.add(waiting(0.0), row((1,) * 100, 100))
    assert packed.take(0.5) is None
    assert packed.due() == pytest.approx(1.0)
    packed.add(waiting(0.4), row((2,) * 200, 300))
    full = packed.take(0.5)
    assert full is not None
    assert full.num_texts > TOKENS - BLOCK
    assert packed.take(0.5) is None
    assert packed.take(1.5) is not None


def test_a_prompt_with_ever_more_completions_starves_nobody() -> None:
    packed = packing()
    for _ in range(40):
        packed.add(waiting(0.0), row((1,) * 50, 100))
    packed.add(waiting(0.1), row((2,) * 50, 10))
    for number in range(20):
        made = packed.take(0.2)
        assert made is not None
        if any(work.row.prefix[0] == 2 for work in made.finished):
            assert number < 10
            return
        packed.add(waiting(0.2), row((1,) * 50, 100))
    raise AssertionError("never taken")


def test_rows_that_are_given_up_are_in_no_pass() -> None:
    packed = packing()
    gone, kept = waiting(), waiting()
    packed.add(gone, row((1,) * 10, 10))
    packed.add(kept, row((2,) * 10, 10))
    gone.answer.cancel()
    (made,) = all_passes(packed, 2.0)
    assert [work.waiting for work in made.finished] == [kept]
    assert len(packed) == 0
    late = waiting(3.0)
    packed.add(late, row((1,) * 10, 10))
    (again,) = all_passes(packed, 5.0)
    assert [work.waiting for work in again.finished] == [late]


def test_short_rows_of_many_prompts_fill_a_pass() -> None:
    packed = Packing(8 * TOKENS, BLOCK, 1.0, 2**20)
    for number in range(8 * TOKENS):
        packed.add(waiting(), row((number,), 1))
    made = packed.take(0.5)
    assert made is not None
    assert made.num_texts == 8 * TOKENS
