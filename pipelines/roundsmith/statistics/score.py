"""The interval of a difference of two paired shares, where each task is solved or not."""

import math

from scipy.special import ndtri

from roundsmith.statistics.bootstrap import Interval

_HALVINGS = 60
"""Of [-1, 1]: after them the ends of an interval are neighbours in float64."""


def score_interval(gained: int, lost: int, num_tasks: int, *, level: float = 0.95) -> Interval:
    """Every difference that the score test does not reject (Tango 1998).

    Of n tasks g were gained and l lost. A true difference D is rejected where
    |g - l - n D| > z sqrt(n (2 q + D (1 - D))), q the likeliest share of lost tasks under D. It
    does not rest on tasks having changed: of n that did not, the interval is +-z^2 / (n + z^2).
    """
    z = float(ndtri((1 + level) / 2))
    low, high = (_low(g, k, num_tasks, z) for g, k in ((gained, lost), (lost, gained)))
    return Interval(low, -high + 0.0)


def _low(gained: int, lost: int, n: int, z: float) -> float:
    """The least difference that is not rejected for being too low. Every one between it and the
    estimate is not either, so halving finds it.
    """
    rejected, kept = -1.0, (gained - lost) / n
    if lost == n:
        return -1.0
    for _ in range(_HALVINGS):
        middle = (rejected + kept) / 2
        q = _lost_share(gained, lost, n, middle)
        spread = math.sqrt(max(0.0, n * (2 * q + middle * (1 - middle))))
        if gained - lost - n * middle > z * spread:
            rejected = middle
        else:
            kept = middle
    return kept


def _lost_share(gained: int, lost: int, n: int, difference: float) -> float:
    """The q that maximises (q + D)^g q^l (1 - 2 q - D)^(n - g - l): the larger root of
    2 n q^2 - (g + l + D (g - l - 2 n)) q - l D (1 - D) = 0.
    """
    b = gained + lost + difference * (gained - lost - 2 * n)
    root = math.sqrt(max(0.0, b**2 + 8 * n * lost * difference * (1 - difference)))
    return max((b + root) / (4 * n), 0.0, -difference)
