"""Paired comparison: hand-worked p-values, symmetry, and false alarms."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.statistics import paired_difference
from roundsmith.statistics.paired import MCNEMAR, SIGN_FLIP, mcnemar, sign_flip

EIGHTHS = st.integers(0, 8).map(lambda c: c / 8)


def test_mcnemar_by_hand() -> None:
    # 8 changed answers, 7 gained: P(7 or 8 heads, or as few) = 2 (8 + 1) / 256.
    assert mcnemar(7, 1) == pytest.approx(18 / 256)
    assert mcnemar(1, 7) == pytest.approx(18 / 256)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0


def test_one_greedy_sample_a_task_takes_mcnemar() -> None:
    found = paired_difference([0, 0, 0, 1, 1, 0], [1, 1, 1, 1, 0, 0], seed=0)
    assert found.method == MCNEMAR
    assert found.difference == pytest.approx(2 / 6)
    assert found.p_value == pytest.approx(2 * 5 / 16)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_the_sign_flip_agrees_with_all_flips_counted(steps: list[int]) -> None:
    d = np.array(steps) / 8
    flips = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True)))
        for signs in product((1, -1), repeat=len(d))
    ]
    exact = np.mean(np.array(flips) >= abs(d.sum()) - 1e-12)
    assert sign_flip(d, seed=5) == pytest.approx(exact, abs=0.01)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=1, max_size=30), st.integers(0, 99))
def test_before_and_after_swapped_flip_the_sign_and_keep_p(
    pairs: list[tuple[float, float]], seed: int
) -> None:
    before, after = [b for b, _ in pairs], [a for _, a in pairs]
    there, back = (paired_difference(*x, seed=seed) for x in ((before, after), (after, before)))
    assert there.difference == -back.difference
    assert there.p_value == back.p_value
    assert 0 < there.p_value <= 1
    assert there.ci95.low <= there.difference + 1e-9 <= there.ci95.high + 2e-9


def test_no_difference_anywhere_is_no_evidence() -> None:
    found = paired_difference([0.5, 0.25, 1.0], [0.5, 0.25, 1.0], seed=1)
    assert (found.difference, found.p_value, found.method) == (0.0, 1.0, SIGN_FLIP)
    assert found.ci95.low < 0 < found.ci95.high


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [
        # solved or not: z^2 / (n + z^2), with z^2 = 3.8415
        ([0.0] * 4, [0.0] * 4, -0.4899, 0.4899),
        ([0.0, 1.0] * 10, [0.0, 1.0] * 10, -0.1611, 0.1611),
        ([0.0] * 4, [1.0] * 4, 0.0202, 1.0),
        # else 1 - 0.025^(1/20) = 0.1684 may be unlike, and lost or gained altogether
        ([0.5] * 20, [0.5] * 20, -0.1684, 0.1684),
        ([0.5] * 20, [0.75] * 20, 0.25 - 0.1684 * 1.25, 0.25 + 0.1684 * 0.75),
    ],
)
def test_tasks_that_all_did_the_same_leave_room_for_others_by_hand(
    before: list[float], after: list[float], low: float, high: float
) -> None:
    found = paired_difference(before, after, seed=0).ci95
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize("n", [10, 20, 43])
@pytest.mark.parametrize("gain", [0.25, 1.0])
def test_one_gained_task_is_no_evidence_that_none_is_lost_elsewhere(n: int, gain: float) -> None:
    before = [0.0] * (n - n // 2) + [1.0] * (n // 2)
    same, one = (paired_difference(before, [x, *before[1:]], seed=0).ci95 for x in (0.0, gain))
    assert one.low < -0.02
    assert abs(one.low - same.low) < 0.1
    assert one.high > gain / n


def test_where_tasks_changed_the_interval_is_not_cut_at_the_estimate() -> None:
    found = paired_difference([0.0] * 2 + [1.0] * 18, [1.0] * 20, seed=0)
    assert found.difference == pytest.approx(0.1)
    assert found.ci95.high > found.difference


def test_the_interval_can_exclude_0_where_the_test_does_not_reject() -> None:
    found = paired_difference([0.0] * 20, [1.0] * 5 + [0.0] * 15, seed=0)
    assert found.ci95.low > 0
    assert found.p_value == 2 / 2**5


def test_chance_alone_looks_significant_about_one_time_in_twenty() -> None:
    random = np.random.default_rng(8)
    alarms = 0
    for trial in range(300):
        before, after = random.binomial(8, 0.3, size=(2, 60)) / 8
        alarms += sign_flip(after - before, trial, permutations=2000) <= 0.05
    assert 0.02 <= alarms / 300 <= 0.09


def test_other_numbers_of_tasks_are_refused() -> None:
    with pytest.raises(ConfigError, match="saw 2 and 1 tasks"):
        paired_difference([0, 1], [1], seed=0)
