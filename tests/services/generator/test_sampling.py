"""The draw of one token, against the distribution that it must follow."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.generator.checks import check_sampling
from roundsmith.generator.penalties import Penalty, penalty
from roundsmith.generator.sampling import Draws, _cut, draw, uniforms
from roundsmith.types import Sampling, TopLogprobs

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -3.0])


def draw_many(
    sampling: Sampling, num: int = 20_000
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The share of each token in many draws from LOGITS."""
    draws = Draws.idle(num)
    for slot in range(num):
        draws.set(slot, slot, sampling)
    tokens = draw(LOGITS.expand(num, -1).clone(), draws, {}).tokens
    return np.bincount(tokens, minlength=len(LOGITS)) / num


def expected(temperature: float, kept: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The distribution at a temperature, cut to the `kept` most likely tokens."""
    weights = np.exp(LOGITS.double().numpy() / temperature)
    weights[kept:] = 0
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize(
    ("sampling", "temperature", "kept"),
    [
        (Sampling(1), 1.0, 5),
        (Sampling(1, temperature=0.5), 0.5, 5),
        (Sampling(1, top_k=2), 1.0, 2),
        (Sampling(1, top_k=99), 1.0, 5),
        (Sampling(1, top_p=0.8), 1.0, 2),  # 0.66 + 0.24
        (Sampling(1, top_p=0.01), 1.0, 1),
        (Sampling(1, top_k=3, top_p=0.95), 1.0, 3),
        (Sampling(1, min_p=0.2), 1.0, 2),  # exp(-1) is above it, exp(-2) is not
        (Sampling(1, temperature=2.0, min_p=0.3), 2.0, 3),
    ],
)
def test_tokens_come_as_often_as_the_model_says(
    sampling: Sampling, temperature: float, kept: int
) -> None:
    assert np.abs(draw_many(sampling) - expected(temperature, kept)).max() < 0.012


def test_temperature_zero_takes_the_most_likely() -> None:
    assert draw_many(Sampling(1, temperature=0.0), 50)[0] == 1.0


def test_the_log_probability_is_the_models_own_before_temperature_and_cuts() -> None:
    draws = Draws.idle(64)
    for slot in range(64):
        draws.set(slot, slot, Sampling(1, temperature=3.0, top_k=3))
        draws.num_tops_S[slot] = 2
    due = {slot: Penalty(5.0, 0.0, 2.0, frozenset((0, 1))) for slot in range(0, 64, 2)}
    drawn = draw(LOGITS.expand(64, -1).clone(), draws, due)
    own = torch.log_softmax(LOGITS, -1)
    assert drawn.logprobs == own[drawn.tokens].tolist()
    best = TopLogprobs((0, 1), tuple(own[:2].tolist()))
    assert drawn.tops == dict.fromkeys(range(64), best)


@pytest.mark.parametrize(
    ("sampling", "first"),
    [
        (Sampling(1, temperature=0.0), 0),
        (Sampling(1, temperature=0.0, presence_penalty=1.5), 1),  # 2 - 1.5 < 1
        (Sampling(1, temperature=0.0, frequency_penalty=0.4), 1),  # 2 - 3 x 0.4 < 1
        (Sampling(1, temperature=0.0, frequency_penalty=0.3), 0),
        (Sampling(1, temperature=0.0, repetition_penalty=2.5), 1),  # 2 / 2.5 < 1
        (Sampling(1, temperature=0.0, repetition_penalty=1.9), 0),
    ],
)
def test_a_penalty_makes_what_was_drawn_less_likely(sampling: Sampling, first: int) -> None:
    due = penalty(sampling, [3, 4])
    if due is not None:
        for _ in range(3):
            due.add(0)
    draws = Draws.idle(2)
    draws.set(0, 0, sampling)
    rows = LOGITS.expand(2, -1).clone()
    drawn = draw(rows, draws, {} if due is None else {0: due})
    assert drawn.tokens == [first, 0]  # and the other row is left alone
    assert torch.equal(rows, LOGITS.expand(2, -1))


def test_only_the_repetition_penalty_looks_at_the_prompt() -> None:
    rows, draws = LOGITS.expand(2, -1).clone(), Draws.idle(2)
    prompt = frozenset({0})
    due = {0: Penalty(9.0, 9.0, 1.0, prompt), 1: Penalty(0.0, 0.0, 3.0, prompt)}
    assert draw(rows, draws, due).tokens == [0, 1]


@given(
    st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 4096)), min_size=1, max_size=8),
    st.integers(0, 2**32),
)
def test_a_rows_draw_does_not_depend_on_the_other_rows(
    rows: list[tuple[int, int]], noise: int
) -> None:
    generator = torch.Generator().manual_seed(noise)
    logits = torch.randn(len(rows), 300, generator=generator) * 3
    samplings = [
        Sampling(1, 0.7),
        Sampling(1, 1.0, top_p=0.8),
        Sampling(1, 0.0),
        Sampling(1, top_k=5),
    ]
    draws = Draws.idle(len(rows))
    for slot, (seed, step) in enumerate(rows):
        draws.set(slot, seed, samplings[slot % 4])
        draws.steps_S[slot] = step
    due = {slot: Penalty(0.3, 0.1, 1.2, frozenset((slot,))) for slot in range(0, len(rows), 2)}
    drawn = draw(logits.clone(), draws, due)
    for slot in range(len(rows)):
        alone = Draws(*(getattr(draws, f.name)[slot : slot + 1] for f in dataclasses.fields(Draws)))
        own = {0: due[slot]} if slot in due else {}
        single = draw(logits[slot : slot + 1].clone(), alone, own)
        assert (single.tokens[0], single.logprobs[0]) == (drawn.tokens[slot], drawn.logprobs[slot])


@given(
    st.sampled_from([1, 5, 127, 129, 3000]),
    st.floats(0.05, 4),
    st.sampled_from([1.0, 0.999, 0.9, 0.5, 0.01]),
    st.sampled_from([0, 1, 3, 128, 500, 5000]),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_a_cut_keeps_what_sorting_the_whole_vocabulary_keeps(
    vocabulary: int, sharpness: float, top_p: float, top_k: int, noise: int, equals: bool
) -> None:
    generator = torch.Generator().manual_seed(noise)
    logits = torch.randn(3, vocabulary, generator=generator) * sharpness
    if equals:
        logits = logits.round()
    draws = Draws.idle(3)
    for slot in range(3):
        draws.set(slot, noise, Sampling(1, 1.0, top_p=top_p, top_k=top_k))
    cut = logits.clone()
    _cut(cut, draws, np.array([True, False, True]))
    assert torch.equal(cut[1], logits[1])
    for row in (0, 2):
        order = np.argsort(-logits[row].numpy(), kind="stable")[: top_k or vocabulary]
        weights = np.exp(logits[row].double().numpy()[order])
        before = np.cumsum(weights / weights.sum()) - weights / weights.sum()
        sure = np.abs(before - top_p) > 1e-5  # nearer, rounding decides
        kept = torch.isfinite(cut[row]).numpy()[order]
        assert np.array_equal(kept[sure], ((before < top_p) | (np.arange(len(order)) == 0))[sure])
        assert kept.sum() == np.isfinite(cut[row].numpy()).sum()


def test_uniforms_are_those_of_splitmix64() -> None:
    # the first outputs for seed 1234567, as published with the algorithm's reference code
    steps = np.arange(3, dtype=np.uint64)
    got = uniforms(np.full(3, 1234567, np.uint64), steps)
    outputs = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert got.tolist() == [(output >> 11) * 2.0**-53 for output in outputs]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(0),
        Sampling(1, temperature=-1.0),
        Sampling(1, temperature=float("nan")),
        Sampling(1, temperature=1e-38),
        Sampling(1, temperature=0.0099),
        Sampling(1, temperature=2.01),
        Sampling(1, top_p=0.0),
        Sampling(1, top_p=1.5),
        Sampling(1, top_k=-1),
        Sampling(1, min_p=1.5),
        Sampling(1, presence_penalty=float("nan")),
        Sampling(1, presence_penalty=-2.01),
        Sampling(1, frequency_penalty=float("inf")),
        Sampling(1, frequency_penalty=2.01),
        Sampling(1, repetition_penalty=0.0),
        Sampling(1, repetition_penalty=1e-40),
        Sampling(1, repetition_penalty=101.0),
        Sampling(1, stop=("",)),
    ],
)
def test_a_value_without_meaning_is_refused_with_its_name(sampling: Sampling) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.\w+: saw .*, expected"):
        check_sampling(sampling)


@pytest.mark.parametrize("temperature", [0.01, 2.0])
@pytest.mark.parametrize("added", [-2.0, 2.0])
@pytest.mark.parametrize("repetition", [0.01, 100.0])
def test_the_ends_of_the_ranges_draw_tokens_that_are_there(
    temperature: float, added: float, repetition: float
) -> None:
    sampling = Sampling(
        1,
        temperature,
        presence_penalty=added,
        frequency_penalty=added,
        repetition_penalty=repetition,
    )
    check_sampling(sampling)
    due = penalty(sampling, range(5))
    assert due is not None
    due.drawn.update(dict.fromkeys(range(3), 100_000))
    draws = Draws.idle(4)
    for slot in range(4):
        draws.set(slot, slot, sampling)
    drawn = draw(30 * LOGITS.expand(4, -1), draws, dict.fromkeys(range(4), due))
    assert set(drawn.tokens) <= set(range(5))
    assert np.isfinite(drawn.logprobs).all()


@pytest.mark.parametrize(
    "sampling",
    [Sampling(1, 0.0), Sampling(1), Sampling(1, min_p=0.1), Sampling(1, top_p=0.5, top_k=3)],
)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_row_that_is_no_numbers_says_so_and_leaves_the_others_alone(
    sampling: Sampling, wrong: float
) -> None:
    draws = Draws.idle(3)
    for slot in range(3):
        draws.set(slot, slot, sampling, num_tops=2)
    logits = LOGITS.repeat(3, 1)
    alone = draw(logits, draws, {})
    logits[1, 2] = wrong
    found = draw(logits, draws, {})
    assert np.isnan(found.logprobs[1])
    assert found.tokens[::2] == alone.tokens[::2]
    assert found.logprobs[::2] == alone.logprobs[::2]
    assert 0 <= found.tokens[1] < len(LOGITS)
