"""DSTC's choices on code × test matrices, many groups at once.

Axes: G groups, J codes, K tests. S counts the tests that a code passes, T the codes that pass a
test. Arrays are bool and int; nothing is kept of a group but its row of the answer.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Passed = NDArray[np.bool_]
Ints = NDArray[np.intp]


class Skip(IntEnum):
    """Why a group gives no pair."""

    NONE = 0
    NOTHING_PASSES = 1
    """No code passes any test."""
    NOTHING_FAILS = 2
    """Every code passes every test."""
    SUSPECT_TESTS = 3
    """Of the tests that a code fails, too few codes pass any: the tests may be the wrong ones."""
    SAME_CODE = 4
    """The code that would be rejected is the chosen one, as where all of the best fail the test: of
    equals the first is taken on both sides.
    """


@dataclass(frozen=True, slots=True)
class Picks:
    """Indices by group, meaningless where `skip_G` is not 0; tests are -1 for a rule that picks
    none.
    """

    chosen_code_G: Ints
    chosen_test_G: Ints
    rejected_code_G: Ints
    rejected_test_G: Ints
    skip_G: NDArray[np.int8]


def minimax(
    passed_GJK: Passed, min_passes: int = 1, rng: np.random.Generator | None = None
) -> Picks:
    """The picks of DSTC (arXiv 2411.13611, its section 2.3 as summarised by others).

    j+ = argmax_j S_j;  k+ = argmin_k T_k with r(j+, k) = 1;
    k- = argmax_k T_k with min_passes <= T_k < J;  j- = argmin_j S_j with r(j, k-) = 0.
    The first of equals is taken or, with `rng`, one of them by chance. `min_passes` is ours.
    """
    S_GJ, T_GK = passed_GJK.sum(2), passed_GJK.sum(1)
    num_codes, num_tests = passed_GJK.shape[1:]
    j_plus_G = _argmax(S_GJ, rng)
    row_GK = np.take_along_axis(passed_GJK, j_plus_G[:, None, None], 1)[:, 0]
    k_plus_G = _argmax(np.where(row_GK, -T_GK, -num_codes - 1), rng)
    open_GK = (num_codes > T_GK) & (min_passes <= T_GK)
    k_minus_G = _argmax(np.where(open_GK, T_GK, -1), rng)
    column_GJ = np.take_along_axis(passed_GJK, k_minus_G[:, None, None], 2)[:, :, 0]
    j_minus_G = _argmax(np.where(column_GJ, -num_tests - 1, -S_GJ), rng)
    skip_G = np.select(
        [~passed_GJK.any((1, 2)), passed_GJK.all((1, 2)), ~open_GK.any(1), j_minus_G == j_plus_G],
        [Skip.NOTHING_PASSES, Skip.NOTHING_FAILS, Skip.SUSPECT_TESTS, Skip.SAME_CODE],
        Skip.NONE,
    ).astype(np.int8)
    return Picks(j_plus_G, k_plus_G, j_minus_G, k_minus_G, skip_G)


def by_rule(
    passed_GJK: Passed,
    rule: str,
    min_passes: int,
    rng: np.random.Generator,
    ties: np.random.Generator | None,
) -> Picks:
    """What `random`, `best_worst` or `minimax` picks; nothing where there is no code or no test."""
    if passed_GJK.size == 0:
        none_G = np.zeros(len(passed_GJK), np.intp)
        skip_G = np.full(len(passed_GJK), Skip.NOTHING_PASSES, np.int8)
        return Picks(none_G, none_G, none_G, none_G, skip_G)
    if rule == "random":
        return at_random(passed_GJK, rng)
    if rule == "best_worst":
        return best_worst(passed_GJK, ties)
    return minimax(passed_GJK, min_passes, ties)


def best_worst(passed_GJK: Passed, rng: np.random.Generator | None = None) -> Picks:
    """The code that passes most tests against the one that passes fewest; no tests."""
    S_GJ = passed_GJK.sum(2)
    best_G, worst_G = _argmax(S_GJ, rng), _argmax(-S_GJ, rng)
    skip_G = np.select(
        [~passed_GJK.any((1, 2)), S_GJ.max(1) == S_GJ.min(1)],
        [Skip.NOTHING_PASSES, Skip.NOTHING_FAILS],
        Skip.NONE,
    ).astype(np.int8)
    none_G = np.full(len(best_G), -1)
    return Picks(best_G, none_G, worst_G, none_G, skip_G)


def at_random(passed_GJK: Passed, rng: np.random.Generator) -> Picks:
    """A code and a test that it passes, against another code and a test that it fails; each drawn
    uniformly from all such cells.
    """
    num_groups, num_codes, num_tests = passed_GJK.shape
    cells_GC = passed_GJK.reshape(num_groups, -1)
    plus_G = _argmax(np.where(cells_GC, 0, -1), rng)
    j_plus_G = plus_G // num_tests
    other_GJ = np.arange(num_codes) != j_plus_G[:, None]
    failing_GC = (~passed_GJK & other_GJ[:, :, None]).reshape(num_groups, -1)
    minus_G = _argmax(np.where(failing_GC, 0, -1), rng)
    skip_G = np.select(
        [~cells_GC.any(1), cells_GC.all(1), ~failing_GC.any(1)],
        [Skip.NOTHING_PASSES, Skip.NOTHING_FAILS, Skip.SAME_CODE],
        Skip.NONE,
    ).astype(np.int8)
    return Picks(j_plus_G, plus_G % num_tests, minus_G // num_tests, minus_G % num_tests, skip_G)


def _argmax(counts: NDArray[np.intp], rng: np.random.Generator | None) -> Ints:
    """The place of the largest along the last axis; of equals the first or, with `rng`, any."""
    # Whole numbers apart, a draw below 1 orders equals alone.
    found: Ints = (counts if rng is None else counts + rng.random(counts.shape)).argmax(-1)
    return found
