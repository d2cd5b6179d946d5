"""GiFT's weights and draws, for many pools at once.

Pools lie one after another in flat arrays: `starts` are the places where they begin, from 0 on;
none is empty. Axes: N codes of all pools, P pools, K draws.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = float(np.finfo(np.float64).max) / 2
Reals = NDArray[np.float64]
Places = NDArray[np.intp]


def weights(perplexities_N: ArrayLike, tail: float, starts_P: Sequence[int] = (0,)) -> Reals:
    """w_j = softmax_j(T * PPL_j) in each pool, from the largest down so that it never overflows.
    What is more than a float holds is equally large.
    """
    with np.errstate(over="ignore"):
        scaled_N = tail * np.minimum(perplexities_N, LARGEST)
    scaled_N = np.clip(scaled_N, -LARGEST, LARGEST)
    sizes_P = _sizes(starts_P, len(scaled_N))
    top_P = np.maximum.reduceat(scaled_N, starts_P)
    raw_N = np.exp(scaled_N - np.repeat(top_P, sizes_P))
    found: Reals = raw_N / np.repeat(np.add.reduceat(raw_N, starts_P), sizes_P)
    return found


def draw(
    weights_N: Reals, k: int, rng: np.random.Generator, starts_P: Sequence[int] = (0,)
) -> Places:
    """K places of each pool, with replacement, by the weights, [P, K]."""
    bounds_N = np.cumsum(weights_N)
    ends_P = np.append(np.asarray(starts_P)[1:], len(weights_N)) - 1
    below_P = np.append(0.0, bounds_N[ends_P[:-1]])
    points_PK = (
        below_P[:, None] + rng.random((len(ends_P), k)) * (bounds_N[ends_P] - below_P)[:, None]
    )
    places_PK = np.searchsorted(bounds_N, points_PK, side="right")
    # A point may be rounded onto its pool's bound.
    found: Places = np.clip(places_PK, np.asarray(starts_P)[:, None], ends_P[:, None])
    return found


def effective_sizes(weights_N: Reals, starts_P: Sequence[int] = (0,)) -> Reals:
    """1 / sum_j w_j^2 of each pool: as many equal codes would be drawn as evenly."""
    found: Reals = 1 / np.add.reduceat(weights_N**2, starts_P)
    return found


def _sizes(starts_P: Sequence[int], total: int) -> Places:
    return np.diff(np.append(np.asarray(starts_P), total))
