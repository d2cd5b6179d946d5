"""The score interval: a published example, by hand, and exactly how often it holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from roundsmith.statistics.score import score_interval


def test_it_is_that_of_the_published_example() -> None:
    # complete response before and after consolidation, 161 patients (Cavo et al. 2012), as
    # Fagerland, Lydersen and Laake give Tango's interval: -0.0621 (-0.1240 to -0.0054)
    found = score_interval(6, 16, 161)
    assert found.low == pytest.approx(-0.1240, abs=5e-5)
    assert found.high == pytest.approx(-0.0054, abs=5e-5)


def test_tasks_none_of_which_changed_by_hand() -> None:
    # q = -D, so the score is n D / sqrt(n (-D) (1 + D)): -D = z^2 / (n + z^2)
    found = score_interval(0, 0, 188)
    assert found.low == pytest.approx(-3.841459 / 191.841459)
    assert found.high == -found.low


def test_all_gained_and_all_lost_end_at_one() -> None:
    # q = (1 - D) / 2, so the score is sqrt(n (1 - D) / (1 + D)): D = (n - z^2) / (n + z^2)
    assert score_interval(10, 0, 10).low == pytest.approx(6.158541 / 13.841459)
    assert score_interval(10, 0, 10).high == 1.0
    assert score_interval(0, 10, 10).low == -1.0


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_it_holds_the_estimate_mirrors_and_shrinks_with_more_tasks(
    gained: int, lost: int, same: int
) -> None:
    n = max(1, gained + lost + same)
    found, mirrored = score_interval(gained, lost, n), score_interval(lost, gained, n)
    assert -1 <= found.low <= (gained - lost) / n <= found.high <= 1
    assert (mirrored.low, mirrored.high) == (-found.high + 0.0, -found.low + 0.0)
    many = score_interval(4 * gained, 4 * lost, 4 * n)
    assert many.high - many.low < found.high - found.low


@pytest.mark.parametrize(
    ("num_tasks", "margin", "gained"),
    [(10, 0.02, 0.05), (43, 0.02, 0.02), (43, 0.05, 0.03), (43, 0.05, 0.1), (100, 0.02, 0.01)],
)
def test_a_loss_of_the_margin_passes_as_held_once_in_forty_at_most(
    num_tasks: int, margin: float, gained: float
) -> None:
    """Counted over all outcomes, not sampled."""
    passing = [
        (g, k, num_tasks - g - k)
        for g in range(num_tasks + 1)
        for k in range(min(g, num_tasks - g) + 1)
        if score_interval(g, k, num_tasks).low >= -margin
    ]
    shares = [gained, gained + margin, 1 - 2 * gained - margin]
    chance = multinomial.pmf(np.array(passing).reshape(-1, 3), num_tasks, shares).sum()
    assert chance <= 0.0285
