"""The recipes' choices over many groups at once, each beside a plain loop that makes the same."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from roundsmith.bench import BenchResult
from roundsmith.commands.bench.turns import in_turns
from roundsmith.recipes.best_of import best_of
from roundsmith.recipes.minimax import Passed, minimax
from roundsmith.recipes.tail import Reals, draw, weights

PART = 10_000
"""Groups that are in memory at once, however many there are."""
NUM_CODES = NUM_TESTS = CANDIDATES = 10
POOL, DRAWS, TAIL = 20, 8, 2.0
LOOP_SHARE = 20
"""A plain loop makes this part of the work: it is timed, not waited for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One rule: `together` and `loop` choose in a part of so many groups, from the same seed."""

    case: str
    unit: str
    groups: int
    rows_by_group: int
    together: Callable[[int, int], Any]
    loop: Callable[[int, int], Any]


def measure(scale: float = 1.0, turns: int = 3) -> list[BenchResult]:
    """Rows a second of each rule on one core; `scale` makes fewer of them."""
    return [_measured(choice, scale, turns) for choice in CHOICES]


def _measured(choice: Choice, scale: float, turns: int) -> BenchResult:
    groups = max(LOOP_SHARE, round(choice.groups * scale))
    few = groups // LOOP_SHARE
    rows = groups * choice.rows_by_group
    return in_turns(
        choice.case.format(groups=f"{groups:,}", rows=f"{rows:,}"),
        rows,
        choice.unit,
        lambda: in_parts(choice.together, groups),
        "plain Python",
        lambda: in_parts(choice.loop, few),
        turns,
        their_amount=few * choice.rows_by_group,
    )


def in_parts(choose: Callable[[int, int], Any], groups: int) -> None:
    """Makes and chooses part by part, so that memory does not grow with the number of groups."""
    for start in range(0, groups, PART):
        choose(min(PART, groups - start), start)


def matrices(groups: int, seed: int) -> Passed:
    """Random matrices of codes and tests."""
    return np.random.default_rng(seed).random((groups, NUM_CODES, NUM_TESTS)) < 0.6


def perplexities(groups: int, seed: int) -> Reals:
    """Random perplexities of pools of one size, flat."""
    return 1 + np.random.default_rng(seed).random(groups * POOL)


def scores(groups: int, seed: int) -> Reals:
    """Random P(yes) of the candidates of each row."""
    return np.random.default_rng(seed).random((groups, CANDIDATES))


def _gift(groups: int, seed: int) -> Any:
    starts = range(0, groups * POOL, POOL)
    drawn = weights(perplexities(groups, seed), TAIL, starts)
    return draw(drawn, DRAWS, np.random.default_rng(seed), starts)


def minimax_loop(groups: int, seed: int) -> list[tuple[int, int, int, int] | None]:
    """DSTC's picks read off the formula with loops; None where there is no pair."""
    return [_minimax_of(matrix) for matrix in matrices(groups, seed).tolist()]


def _minimax_of(r: list[list[bool]]) -> tuple[int, int, int, int] | None:
    J, K = range(len(r)), range(len(r[0]))
    S = [sum(row) for row in r]
    T = [sum(r[j][k] for j in J) for k in K]
    jp = max(J, key=lambda j: S[j])
    held = [k for k in K if r[jp][k]]
    failed = [k for k in K if 1 <= T[k] < len(r)]
    if not held or not failed:
        return None
    kp, km = min(held, key=lambda k: T[k]), max(failed, key=lambda k: T[k])
    jm = min((j for j in J if not r[j][km]), key=lambda j: S[j])
    return None if jm == jp else (jp, kp, jm, km)


def _gift_loop(groups: int, seed: int) -> Any:
    rng, found = random.Random(seed), []
    flat = perplexities(groups, seed).tolist()
    for start in range(0, len(flat), POOL):
        pool = flat[start : start + POOL]
        top = max(pool)
        raw = [math.exp(TAIL * (value - top)) for value in pool]
        total = sum(raw)
        found.append(rng.choices(range(POOL), [w / total for w in raw], k=DRAWS))
    return found


def best_loop(groups: int, seed: int) -> list[int]:
    """The first highest of each row."""
    return [max(range(CANDIDATES), key=row.__getitem__) for row in scores(groups, seed).tolist()]


CHOICES = (
    Choice(
        "DSTC's pairs of {groups} groups of 10 x 10",
        "groups/s",
        100_000,
        1,
        lambda groups, seed: minimax(matrices(groups, seed)),
        minimax_loop,
    ),
    Choice(
        "GiFT's weights and 8 draws a pool, of {rows} codes",
        "codes/s",
        1_000_000 // POOL,
        POOL,
        _gift,
        _gift_loop,
    ),
    Choice(
        "Inverse-Instruct's best of 10 on {groups} rows",
        "rows/s",
        1_000_000,
        1,
        lambda groups, seed: best_of(scores(groups, seed)),
        best_loop,
    ),
)
