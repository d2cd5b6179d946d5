"""Detectable differences: by hand, and by drawing experiments of that size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.statistics import (
    fewest_tasks,
    least_p_value,
    smallest_difference,
    smallest_difference_of_solved,
)
from roundsmith.statistics.paired import mcnemar


def test_hand_worked_case() -> None:
    # (1.9600 + 0.8416) * 0.4 / sqrt(400)
    assert smallest_difference(400, 0.4) == pytest.approx(0.05603, abs=1e-5)


def test_mcnemars_equation_holds_at_its_solution() -> None:
    d = smallest_difference_of_solved(400, 0.2)
    assert d is not None
    assert d * 20 == pytest.approx(1.95996 * 0.2**0.5 + 0.84162 * (0.2 - d * d) ** 0.5, abs=1e-4)


@pytest.mark.parametrize(("num_tasks", "changed"), [(400, 0.2), (1000, 0.1)])
def test_mcnemar_finds_that_difference_about_four_times_in_five(
    num_tasks: int, changed: float
) -> None:
    d = smallest_difference_of_solved(num_tasks, changed)
    assert d is not None
    shares = [(changed + d) / 2, (changed - d) / 2, 1 - changed]
    draws = np.random.default_rng(4).multinomial(num_tasks, shares, size=600)
    found = np.mean([mcnemar(int(gained), int(lost)) <= 0.05 for gained, lost, _ in draws])
    assert 0.72 <= found <= 0.86


def test_too_few_tasks_can_show_nothing() -> None:
    assert smallest_difference_of_solved(20, 0.1) is None


def test_five_tasks_never_reach_one_in_twenty_and_six_do() -> None:
    assert [mcnemar(n, 0) for n in (1, 5, 6)] == [least_p_value(n) for n in (1, 5, 6)]
    assert least_p_value(5) == 2 / 32 > 0.05 >= least_p_value(6) == 2 / 64
    assert fewest_tasks(0.05) == 6
    assert fewest_tasks(0.0625) == 5
    assert smallest_difference(5, 0.1) is None
    assert smallest_difference(6, 0.1) == pytest.approx(2.8016 * 0.1 / 6**0.5, abs=1e-4)


def test_a_difference_of_more_than_everything_is_none() -> None:
    assert smallest_difference(6, 1.0) is None  # 2.8016 / sqrt(6) = 1.14


@given(st.integers(30, 10_000), st.floats(0.05, 1.0))
def test_more_tasks_never_need_a_larger_difference(num_tasks: int, changed: float) -> None:
    few = smallest_difference_of_solved(num_tasks, changed)
    many = smallest_difference_of_solved(4 * num_tasks, changed)
    if few is not None:
        assert many is not None
        assert many < few <= changed


def test_shares_and_powers_outside_their_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="changed share"):
        smallest_difference_of_solved(10, 0.0)
    with pytest.raises(ConfigError, match="power"):
        smallest_difference(10, 0.4, power=1.0)
