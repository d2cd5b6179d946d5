"""Two measurements of the same tasks: their difference, its interval and its p-value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from roundsmith.errors import ConfigError
from roundsmith.statistics.bootstrap import CELLS, Interval, mean_interval
from roundsmith.statistics.score import score_interval

Floats = npt.NDArray[np.float64]
MCNEMAR, SIGN_FLIP = "exact McNemar", "sign-flip permutation"
PERMUTATIONS = 100_000
FLOOR = 1e-05
"""What that many permutations can show at the least, 1 / (PERMUTATIONS + 1), to one digit."""
TIE = 1e-12
"""Two means of the same differences in another order may be this far apart."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of after - before over tasks; `p_value` is two-sided."""

    difference: float
    ci95: Interval
    p_value: float
    method: str
    num_tasks: int


def paired_difference(
    before: Sequence[float] | Floats, after: Sequence[float] | Floats, *, seed: int
) -> PairedDifference:
    """Compare two values a task, each in [0, 1] and in the same order; the same for a seed.

    One greedy sample a task makes every value 0 or 1: then the test is McNemar's, exact, and the
    interval the score test's (Tango 1998). Else the signs of the differences are flipped at random,
    and the interval is the BCa bootstrap over tasks, but never narrower than what unseen tasks
    leave possible. Either is of both values on other tasks: an end of it added to the measured
    `before` may leave [0, 1], which says that `before` may be another one there.
    """
    x, y = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or not x.size:
        raise ConfigError(f"saw {x.size} and {y.size} tasks, expected the same ones, at least one")
    binary = bool(np.isin(x, (0.0, 1.0)).all() and np.isin(y, (0.0, 1.0)).all())
    d = y - x
    gained, lost, n = int((d > 0).sum()), int((d < 0).sum()), int(d.size)
    return PairedDifference(
        difference=float(d.mean()),
        ci95=score_interval(gained, lost, n) if binary else _interval(d, seed),
        p_value=mcnemar(gained, lost) if binary else sign_flip(d, seed),
        method=MCNEMAR if binary else SIGN_FLIP,
        num_tasks=n,
    )


def _interval(d: Floats, seed: int, level: float = 0.95) -> Interval:
    """A bootstrap knows only the changes that it saw. Tasks of another kind may be a share of up to
    u = 1 - ((1 - level) / 2)^(1/n), of which n tasks show none in (1 - level) / 2 of all cases, and
    may be lost, or gained, all of them.
    """
    found = mean_interval(d, seed=seed, bounds=(-1.0, 1.0), level=level)
    mean, unseen = float(d.mean()), 1.0 - ((1.0 - level) / 2) ** (1.0 / d.size)
    low, high = mean - unseen * (mean + 1.0), mean + unseen * (1.0 - mean)
    return Interval(min(found.low, low), max(found.high, high))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p-value: of the tasks whose answer changed, each way is a fair coin.

    p = 2 P(at most min(gained, lost) heads of gained + lost), never above 1.
    """
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def sign_flip(differences: Floats, seed: int, permutations: int = PERMUTATIONS) -> float:
    """Two-sided p-value of a mean difference when each task's sign is a fair coin.

    The observed signs count as one of the permutations, so the p-value is never 0 and never too
    small (Phipson and Smyth 2010).
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0.0]), return_counts=True)
    if not sizes.size:
        return 1.0
    least = abs(float(differences.sum())) - TIE * differences.size
    random, rows, extreme = np.random.default_rng(seed), max(1, CELLS // sizes.size), 0
    for start in range(0, permutations, rows):
        shape = (min(rows, permutations - start), sizes.size)
        # Equal sizes are exchangeable: how many of them stay positive is binomial.
        positive = random.binomial(counts, 0.5, size=shape)
        extreme += int((np.abs((2 * positive - counts) @ sizes) >= least).sum())
    return (extreme + 1) / (permutations + 1)


def p_words(value: float) -> str:
    """A p-value to two digits; those at the floor of the permutations as a bound."""
    return f"<= {FLOOR:g}" if value <= FLOOR else f"{value:.2g}"


def p_equals(value: float) -> str:
    """`p = 0.012` or `p <= 1e-05`, for a sentence."""
    text = p_words(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
