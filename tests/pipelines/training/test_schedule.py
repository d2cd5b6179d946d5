"""Steps, rows of each step, and learning rates: arithmetic that holds for all inputs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.training.schedule import (
    highest_factor,
    learning_rate_factor,
    micro_batch,
    num_steps,
    row_order,
)


def test_gift_on_mbpp_trains_for_23_steps() -> None:
    assert num_steps(1530, 128, 2.0, 0) == 23


def test_fewer_rows_than_a_batch_are_still_one_step() -> None:
    assert num_steps(5, 128, 2.0, 0) == 1


def test_max_steps_goes_before_epochs() -> None:
    assert num_steps(5, 128, 2.0, 17) == 17


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    batch_size=st.integers(1, 16),
    steps=st.integers(1, 12),
    seed=st.integers(0, 2**31),
)
def test_rows_are_seen_equally_often_and_longest_first(
    lengths: list[int], batch_size: int, steps: int, seed: int
) -> None:
    order = row_order(lengths, batch_size, steps, seed)
    assert len(order) == batch_size * steps
    seen = Counter(order)
    assert max(seen.values()) - min(seen[row] for row in range(len(lengths))) <= 1
    for step in range(steps):
        batch = [lengths[row] for row in order[step * batch_size : (step + 1) * batch_size]]
        assert batch == sorted(batch, reverse=True)


def test_more_steps_keep_the_earlier_ones() -> None:
    lengths = [1] * 10
    assert row_order(lengths, 4, 9, 3)[:20] == row_order(lengths, 4, 5, 3)


def test_another_seed_is_another_order() -> None:
    assert row_order([1] * 64, 64, 1, 1) == row_order([1] * 64, 64, 1, 2)
    assert row_order([1] * 64, 8, 8, 1) != row_order([1] * 64, 8, 8, 2)


@given(share=st.integers(1, 200), processes=st.integers(1, 8), largest=st.integers(1, 64))
def test_a_forward_pass_divides_each_share_and_is_not_above_the_largest(
    share: int, processes: int, largest: int
) -> None:
    size = micro_batch(share * processes, processes, largest)
    assert share % size == 0
    assert size <= largest
    assert all(share % other for other in range(size + 1, min(largest, share) + 1))


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 processes share evenly, saw 128: give 126"):
        micro_batch(128, 3, 16)


def test_the_learning_rate_of_gift() -> None:
    rates = [2e-5 * learning_rate_factor(step, 100, 30, 0.25) for step in (0, 15, 30, 65, 100)]
    assert rates == pytest.approx([5e-6, 12.5e-6, 2e-5, 1e-5, 0.0])


def test_a_warm_up_longer_than_the_training_never_decays() -> None:
    factors = [learning_rate_factor(step, 10, 30, 0.25) for step in range(10)]
    assert factors == sorted(factors)
    assert factors[-1] < 1
    assert highest_factor(10, 30, 0.25) == factors[-1]
    assert highest_factor(30, 30, 0.25) < highest_factor(31, 30, 0.25) == 1
    assert highest_factor(1, 5, 0.0) == 0
    assert highest_factor(1, 0, 0.0) == 1
