"""GiFT's weights, draws and effective sizes over many pools, and the best of many candidates."""

import math
import tracemalloc

import numpy as np
import pytest

from roundsmith.commands.bench.choices import (
    CHOICES,
    Choice,
    best_loop,
    in_parts,
    matrices,
    minimax_loop,
    scores,
)
from roundsmith.recipes.best_of import best_of
from roundsmith.recipes.minimax import minimax
from roundsmith.recipes.tail import draw, effective_sizes, weights


def test_each_pool_has_the_weights_that_it_has_alone() -> None:
    """softmax(2 * [1, 1.5]) = [1, e] / (1 + e) = [0.268941, 0.731059], and a pool of one has 1."""
    together = weights([1.0, 1.5, 7.0, 1.0, 1.5], 2.0, [0, 2, 3])
    assert together == pytest.approx([0.268941, 0.731059, 1.0, 0.268941, 0.731059], abs=1e-6)


def test_the_effective_size_is_that_of_as_many_equal_codes() -> None:
    """Even weights of four: 1 / (4 / 16) = 4. Weights 0.9 and 0.1: 1 / (0.81 + 0.01) = 1.219512."""
    found = effective_sizes(np.array([0.25] * 4 + [0.9, 0.1]), [0, 4])
    assert found == pytest.approx([4, 1.219512], abs=1e-6)


def test_no_weight_overflows_however_large_the_perplexity() -> None:
    found = weights([1e6, 1.0, 2e6, 2e6], 4.0, [0, 2])
    assert found.tolist() == [1.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("perplexities", "tail", "expected"),
    [
        ([1.0, math.inf], 2.0, [0.0, 1.0]),
        ([math.inf, 1.0, math.inf], 2.0, [0.5, 0.0, 0.5]),
        ([1e308, 1e300], 4.0, [1.0, 0.0]),
        ([1.0, math.inf], 0.0, [0.5, 0.5]),
        ([1.0, math.inf], -1.0, [1.0, 0.0]),
    ],
)
def test_what_a_float_does_not_hold_is_the_largest_there_is(
    perplexities: list[float], tail: float, expected: list[float]
) -> None:
    assert weights(perplexities, tail) == pytest.approx(expected)


def test_draws_stay_in_their_pool_and_follow_the_weights() -> None:
    starts = [0, 2, 3]
    drawn = weights([1.0, 1.5, 7.0, 1.0, 1.5], 2.0, starts)
    places = draw(drawn, 20_000, np.random.default_rng(0), starts)
    assert [set(row) for row in places.tolist()] == [{0, 1}, {2}, {3, 4}]
    for row, second in ((0, 1), (2, 4)):
        assert np.mean(places[row] == second) == pytest.approx(math.e / (1 + math.e), abs=0.01)


def test_a_code_of_no_weight_is_never_drawn() -> None:
    places = draw(np.array([0.0, 1.0, 0.0, 0.0, 1.0]), 5000, np.random.default_rng(1), [0, 3])
    assert [set(row) for row in places.tolist()] == [{1}, {4}]


def test_the_best_is_the_first_of_equals_and_what_has_no_score_comes_last() -> None:
    nan = float("nan")
    rows = [[0.2, 0.9, 0.9], [nan, 0.1, 0.0], [nan, nan, nan]]
    assert best_of(rows).tolist() == [[1], [1], [0]]
    assert best_of(rows[:2], kept=2).tolist() == [[1, 2], [1, 2]]


def test_the_bench_compares_with_loops_that_choose_the_same() -> None:
    picks = minimax(matrices(500, 3))
    wanted = minimax_loop(500, 3)
    for g, pair in enumerate(wanted):
        if pair is None:
            assert picks.skip_G[g] != 0
            continue
        found = (
            picks.chosen_code_G[g],
            picks.chosen_test_G[g],
            picks.rejected_code_G[g],
            picks.rejected_test_G[g],
        )
        assert tuple(map(int, found)) == pair
    assert best_of(scores(500, 3))[:, 0].tolist() == best_loop(500, 3)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.unit)
def test_memory_does_not_grow_with_the_number_of_groups(choice: Choice) -> None:
    peaks = []
    for groups in (10_000, 50_000):
        tracemalloc.start()
        in_parts(choice.together, groups)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
