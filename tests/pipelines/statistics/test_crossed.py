"""Differences over seeds and tasks, by hand and by simulation; Holm and the verdicts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.statistics import (
    Contrast,
    Holds,
    Interval,
    Part,
    contrast,
    holm,
    smallest_contrast,
    verdict,
)

SHARES = st.integers(-8, 8).map(lambda eighths: eighths / 8)


def table(rows: int, columns: int) -> st.SearchStrategy[list[list[float]]]:
    row = st.lists(SHARES, min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows)


def test_rows_and_columns_without_noise_add_up_by_hand() -> None:
    # Seeds differ by 0.2, tasks by 0.2, and nothing else: seed means 0.3 and 0.1, task means 0.1
    # and 0.3. V_seeds = 0.02 / 2, V_tasks = 0.02 / 2, V_cells = 0: SE = sqrt(0.02).
    found = contrast([Part(np.array([[0.2, 0.4], [0.0, 0.2]]))])
    assert found.difference == pytest.approx(0.2)
    assert found.standard_error == pytest.approx(math.sqrt(0.02))
    assert found.degrees == 1
    # t(1) is Cauchy: P(|t| > sqrt 2) = 1 - 2 / pi * atan(sqrt 2).
    assert found.p_value() == pytest.approx(1 - 2 / math.pi * math.atan(math.sqrt(2)))
    # Its quartile is 1, so the 50 % interval reaches one SE.
    half = found.interval(0.5)
    assert (half.low, half.high) == pytest.approx((0.2 - math.sqrt(0.02), 0.2 + math.sqrt(0.02)))


def test_noise_of_the_cells_counts_once() -> None:
    # Row means 0.1, -0.1, 0 and column means 0 each way leave: V_seeds = 0.02 / 2 / 3, V_tasks 0.
    # Cells: rest = x - row: (.1, -.1), (0, 0), (-.1, .1): squares 0.04 over 2 * 1, / 6.
    values = np.array([[0.2, 0.0], [-0.1, -0.1], [-0.1, 0.1]])
    found = contrast([Part(values)])
    assert found.difference == pytest.approx(0.0)
    of_seeds, of_cells = 0.02 / 2 / 3, 0.04 / 2 / 6
    assert of_seeds - of_cells < of_seeds  # so that the seeds alone decide
    assert found.standard_error == pytest.approx(math.sqrt(of_seeds))


def test_one_column_is_a_paired_t_test_over_seeds() -> None:
    found = contrast([Part(np.array([[0.1], [0.3], [0.2], [0.2]]))])
    assert found.standard_error == pytest.approx(math.sqrt(0.02 / 3 / 4))
    assert (found.degrees, found.num_tasks) == (3, 0)


def test_a_gap_weighs_its_parts() -> None:
    high, low = np.array([[0.4, 0.6], [0.5, 0.7]]), np.array([[0.1], [0.2]])
    found = contrast([Part(high), Part(low, -1.0)])
    assert found.difference == pytest.approx(0.55 - 0.15)
    assert found.bound == 2.0


def test_one_seed_or_no_spread_tells_nothing() -> None:
    for values in ([[0.5, 0.25, 1.0]], [[0.5, 0.5], [0.5, 0.5]], [[0.0], [0.0]]):
        found = contrast([Part(np.array(values))])
        assert found.p_value() == 1.0
        assert found.interval() == Interval(-math.inf, math.inf)
        assert verdict(found.interval(), 0.0, 0.01) is Holds.UNDECIDED
        assert smallest_contrast(found.standard_error, found.degrees) is None


def test_parts_of_other_seeds_are_refused() -> None:
    with pytest.raises(ConfigError, match="same seeds"):
        contrast([Part(np.zeros((2, 3))), Part(np.zeros((3, 3)))])


@settings(deadline=None, max_examples=60)
@given(table(3, 4))
def test_order_and_sign_do_not_matter(values: list[list[float]]) -> None:
    x = np.array(values)
    one, turned = contrast([Part(x)]), contrast([Part(x[::-1, ::-1])])
    mirrored = contrast([Part(-x)])
    assert turned.difference == pytest.approx(one.difference)
    assert turned.standard_error == pytest.approx(one.standard_error)
    assert mirrored.difference == pytest.approx(-one.difference)
    assert mirrored.p_value() == pytest.approx(one.p_value())
    if not math.isinf(one.standard_error):
        assert one.interval().low <= one.difference <= one.interval().high


def test_the_interval_covers_what_it_says() -> None:
    rng, hits, runs = np.random.default_rng(7), 0, 600
    for _ in range(runs):
        seeds, tasks = rng.normal(0, 0.02, (5, 1)), rng.normal(0, 0.1, (1, 60))
        interval = contrast([Part(seeds + tasks + rng.normal(0, 0.25, (5, 60)))]).interval()
        hits += interval.low <= 0 <= interval.high
    assert 0.93 <= hits / runs <= 0.995


def test_seeds_resampled_without_end_give_the_variance_of_the_seeds() -> None:
    rng, values = np.random.default_rng(1), np.array([[0.1], [0.5], [0.3], [0.0]])
    means = values[rng.integers(0, 4, (200_000, 4)), 0].mean(1)
    found = contrast([Part(values)])
    assert found.standard_error**2 == pytest.approx(means.var() * 4 / 3, rel=0.02)


def test_holm_by_hand() -> None:
    # 0.01 * 3, then 0.03 * 2 = 0.06 > 0.05: it stops there, and 0.04 keeps that threshold.
    found = holm([0.01, 0.04, 0.03])
    assert [one.p_value for one in found] == pytest.approx([0.03, 0.06, 0.06])
    assert [one.level for one in found] == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_an_interval_excludes_the_tested_value_just_where_holm_rejects(ps: list[float]) -> None:
    for p, one in zip(ps, holm(ps), strict=True):
        assert (p <= 1 - one.level + 1e-12) == (one.p_value <= 0.05 + 1e-12)
        assert one.p_value >= p
        assert 1 - one.level >= 0.05 / len(ps) - 1e-12


def test_verdicts_are_by_the_whole_interval() -> None:
    assert verdict(Interval(0.001, 0.02), 0.0, 0.01) is Holds.YES
    assert verdict(Interval(-0.02, 0.009), 0.0, 0.01) is Holds.NO
    assert verdict(Interval(-0.02, 0.011), 0.0, 0.01) is Holds.UNDECIDED
    assert verdict(Interval(-0.009, 0.02), -0.01, -0.01) is Holds.YES


def test_what_is_detected_is_found_four_times_in_five() -> None:
    # With many degrees: (1.96 + 0.84) SE.
    assert smallest_contrast(0.01, 10**6) == pytest.approx(0.028016, rel=1e-3)
    size = smallest_contrast(0.01, 4)
    assert size is not None
    rng, runs = np.random.default_rng(3), 4000
    values = rng.normal(size, 0.01 * math.sqrt(5), (runs, 5))
    errors = values.std(1, ddof=1) / math.sqrt(5)
    found = [
        Contrast(float(d), float(se), 4, 5, 0).p_value() < 0.05
        for d, se in zip(values.mean(1), errors, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
