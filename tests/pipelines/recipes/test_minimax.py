"""DSTC's picks on matrices worked by hand, and each case in which there is no pair."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roundsmith.recipes.minimax import Picks, Skip, at_random, best_worst, minimax


def matrix(*rows: str) -> NDArray[np.bool_]:
    """A batch of one matrix, from a row of 0 and 1 for each code."""
    return np.array([[[cell == "1" for cell in row] for row in rows]])


def first(picks: Picks) -> tuple[int, ...]:
    """Chosen code and test, rejected code and test, of the first group."""
    return (
        int(picks.chosen_code_G[0]),
        int(picks.chosen_test_G[0]),
        int(picks.rejected_code_G[0]),
        int(picks.rejected_test_G[0]),
    )


def test_the_picks_are_the_papers_on_a_case_worked_by_hand() -> None:
    """Four codes on four tests:

              k0 k1 k2 k3    S
        j0     1  1  0  0    2
        j1     1  1  1  0    3    <- j+, the most
        j2     1  0  0  0    1
        j3     0  1  0  0    1
        T      3  3  1  0

    k+ is the hardest test that j1 passes: k2, T = 1. k- is the easiest that a code fails: k0 and k1
    have T = 3 of 4 and k0 is first. Of the codes that fail k0 there is j3 alone.
    """
    picks = minimax(matrix("1100", "1110", "1000", "0100"))
    assert first(picks) == (1, 2, 3, 0)
    assert picks.skip_G[0] == Skip.NONE


def test_the_order_matters_code_first_for_chosen_test_first_for_rejected() -> None:
    """
              k0 k1 k2    S
        j0     1  1  1    3    <- j+
        j1     1  0  0    1
        j2     0  1  0    1
        j3     0  0  0    0    <- the worst of all, and it fails k0
        T      2  2  1

    k- = k0 (T = 2, first); of the codes that fail it, j2 (S = 1) and j3 (S = 0), the worst is j3.
    """
    assert first(minimax(matrix("111", "100", "010", "000"))) == (0, 2, 3, 0)


def test_nothing_passes_nothing_fails_and_one_code_alone_give_no_pair() -> None:
    assert minimax(matrix("00", "00")).skip_G[0] == Skip.NOTHING_PASSES
    assert minimax(matrix("11", "11")).skip_G[0] == Skip.NOTHING_FAILS
    assert minimax(matrix("10")).skip_G[0] != Skip.NONE


def test_a_test_that_every_code_fails_is_suspect_unless_the_formula_is_wanted_bare() -> None:
    """Every code passes k0 and none passes k1: the only test that a code fails is k1, T = 0."""
    passed = matrix("10", "10")
    assert minimax(passed).skip_G[0] == Skip.SUSPECT_TESTS
    bare = minimax(passed, min_passes=0)
    assert bare.skip_G[0] == Skip.SAME_CODE, "equals: the first code is best and worst"
    assert first(minimax(matrix("110", "100"), min_passes=0)) == (0, 1, 1, 1)


def test_the_chosen_code_is_never_the_rejected_one() -> None:
    """j0 passes most, and is the only one that fails k2, the easiest test that any code fails:

          k0 k1 k2 k3 k4   S
    j0     1  1  0  1  0   3
    j1     0  0  1  0  1   2
    j2     0  1  1  0  0   2
    T      1  2  2  1  1
    """
    passed = matrix("11010", "00101", "01100")
    assert minimax(passed).skip_G[0] == Skip.NONE, "k1 comes first and j1 fails it"
    assert minimax(passed[:, :, [2, 0, 1, 3, 4]]).skip_G[0] == Skip.SAME_CODE


def test_many_groups_at_once_are_each_by_itself() -> None:
    rng = np.random.default_rng(1)
    passed = rng.random((200, 6, 5)) < 0.5
    together = minimax(passed)
    for g in range(200):
        alone = minimax(passed[g : g + 1])
        assert alone.skip_G[0] == together.skip_G[g]
        assert first(alone) == tuple(
            int(pick[g])
            for pick in (
                together.chosen_code_G,
                together.chosen_test_G,
                together.rejected_code_G,
                together.rejected_test_G,
            )
        )


@pytest.mark.parametrize("ties", [None, 3])
def test_the_picks_are_what_a_plain_loop_finds(ties: int | None) -> None:
    """Whatever equal is taken: its counts are those of the formula, read off with loops."""
    passed = np.random.default_rng(0).random((300, 5, 4)) < 0.4
    picks = minimax(passed, rng=None if ties is None else np.random.default_rng(ties))
    found = zip(
        picks.chosen_code_G,
        picks.chosen_test_G,
        picks.rejected_code_G,
        picks.rejected_test_G,
        picks.skip_G,
        strict=True,
    )
    num_pairs = 0
    for r, (jp, kp, jm, km, skip) in zip(passed.tolist(), found, strict=True):
        S = [sum(row) for row in r]
        T = [sum(row[k] for row in r) for k in range(4)]
        if skip != Skip.NONE:
            continue
        num_pairs += 1
        assert S[jp] == max(S)
        assert T[kp] == min(T[k] for k in range(4) if r[jp][k])
        assert T[km] == max(T[k] for k in range(4) if 1 <= T[k] < 5)
        assert S[jm] == min(S[j] for j in range(5) if not r[j][km])
        assert r[jp][kp]
        assert not r[jm][km]
    assert num_pairs > 100


def test_equal_codes_are_taken_by_chance_where_that_is_asked() -> None:
    passed = np.repeat(matrix("10", "10", "01", "00"), 400, axis=0)
    picks = minimax(passed, rng=np.random.default_rng(0))
    assert set(picks.chosen_code_G.tolist()) == {0, 1, 2}
    assert set(minimax(passed).chosen_code_G.tolist()) == {0}


def test_best_against_worst_looks_at_codes_alone() -> None:
    picks = best_worst(matrix("110", "111", "000", "100"))
    assert first(picks) == (1, -1, 2, -1)
    assert best_worst(matrix("10", "01")).skip_G[0] == Skip.NOTHING_FAILS
    assert best_worst(matrix("00", "00")).skip_G[0] == Skip.NOTHING_PASSES


def test_a_random_pair_is_a_pass_of_one_code_and_a_failure_of_another_drawn_uniformly() -> None:
    passed = np.repeat(matrix("10", "00"), 4000, axis=0)
    picks = at_random(passed, np.random.default_rng(0))
    assert set(picks.chosen_code_G.tolist()) == {0}
    assert set(picks.rejected_code_G.tolist()) == {1}
    share: Any = np.mean(picks.rejected_test_G == 0)
    assert share == pytest.approx(0.5, abs=0.04)
    assert at_random(matrix("10"), np.random.default_rng(0)).skip_G[0] == Skip.SAME_CODE
    assert at_random(matrix("11"), np.random.default_rng(0)).skip_G[0] == Skip.NOTHING_FAILS
