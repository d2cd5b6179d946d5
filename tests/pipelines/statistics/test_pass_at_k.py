"""The estimator of pass@k against the definition."""

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.statistics import pass_at_k


def test_hand_worked_cases() -> None:
    # 4 samples, 1 correct: two drawn miss it in C(3,2)=3 of C(4,2)=6 ways.
    assert pass_at_k([4], [1], 2).tolist() == [0.5]
    assert pass_at_k([4, 4, 4], [0, 4, 3], 2).tolist() == [0.0, 1.0, 1.0]
    assert pass_at_k([10], [3], 1).tolist() == pytest.approx([0.3])


@given(
    st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
)
def test_it_is_the_share_of_draws_of_k_that_hold_a_correct_sample(
    case: tuple[int, int, int],
) -> None:
    n, c, k = case
    draws = list(combinations(range(n), k))
    share = sum(any(i < c for i in draw) for draw in draws) / len(draws)
    assert pass_at_k([n], [c], k)[0] == pytest.approx(share, abs=1e-12)


@given(
    st.integers(1, 3000).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
    )
)
def test_it_equals_the_binomial_formula_for_any_size(case: tuple[int, int, int]) -> None:
    n, c, k = case
    exact = 1 - comb(n - c, k) / comb(n, k)
    assert pass_at_k([n], [c], k)[0] == pytest.approx(exact, abs=1e-9)


@given(
    st.integers(2, 50).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(1, n - 1))
    )
)
def test_more_correct_samples_and_a_larger_k_never_lower_it(case: tuple[int, int, int]) -> None:
    n, c, k = case
    here = pass_at_k([n], [c], k)[0]
    assert pass_at_k([n], [c + 1], k)[0] >= here - 1e-12
    assert pass_at_k([n], [c], k + 1)[0] >= here - 1e-12


@pytest.mark.parametrize(
    ("n", "c", "k"), [([3], [1], 4), ([3], [4], 1), ([3], [-1], 1), ([3], [1], 0)]
)
def test_impossible_counts_are_refused(n: list[int], c: list[int], k: int) -> None:
    with pytest.raises(ConfigError, match="expected"):
        pass_at_k(n, c, k)


def test_counts_of_other_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected as many"):
        pass_at_k([3, 3], [1], 1)
