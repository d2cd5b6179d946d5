"""Intervals over tasks: against scipy's own bootstrap, and by how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from roundsmith.errors import ConfigError
from roundsmith.statistics import mean_interval

SHARES = st.lists(st.sampled_from([0.0, 0.125, 0.5, 0.875, 1.0]), min_size=2, max_size=60)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_it_agrees_with_scipys_bca(p: float) -> None:
    x = np.random.default_rng(3).binomial(8, p, size=120) / 8
    ours = mean_interval(x, seed=1, bounds=(0, 1), resamples=40_000)
    theirs = bootstrap(
        (x,), np.mean, n_resamples=40_000, rng=np.random.default_rng(2), vectorized=True
    )
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.004)


def test_it_holds_the_true_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(11)
    held = 0
    for trial in range(400):
        x = random.binomial(1, 0.3, size=150).astype(float)
        interval = mean_interval(x, seed=trial, bounds=(0, 1), resamples=1000)
        held += interval.low <= 0.3 <= interval.high
    assert 0.92 <= held / 400 <= 0.98


@settings(deadline=None, max_examples=40)
@given(SHARES, st.integers(0, 1000))
def test_it_lies_within_the_bounds_around_the_mean_and_repeats(x: list[float], seed: int) -> None:
    interval = mean_interval(x, seed=seed, bounds=(0, 1), resamples=500)
    assert -1e-12 <= interval.low <= np.mean(x) + 1e-9
    assert np.mean(x) - 1e-9 <= interval.high <= 1 + 1e-12
    assert interval == mean_interval(x, seed=seed, bounds=(0, 1), resamples=500)


def test_nothing_solved_of_ten_still_leaves_room_by_hand() -> None:
    interval = mean_interval([0.0] * 10, seed=0, bounds=(0, 1))
    assert interval.low == 0.0
    # 1 - 0.05 ** (1 / 10): tasks this often solved show none in ten with 5 %.
    assert interval.high == pytest.approx(0.25887, abs=1e-5)


def test_memory_is_bounded_for_many_unlike_tasks() -> None:
    x = np.linspace(0, 1, 20_000)
    interval = mean_interval(x, seed=0, bounds=(0, 1), resamples=400)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * x.std() / 20_000**0.5, rel=0.15)


def test_no_tasks_have_no_interval() -> None:
    with pytest.raises(ConfigError, match="no tasks"):
        mean_interval([], seed=0, bounds=(0, 1))
