"""The interval of a mean over tasks: the bias-corrected and accelerated bootstrap (Efron 1987).

Tasks are resampled, not samples, because a new task is what a claim is about. BCa is chosen over
percentile because means of pass@k are skewed near 0 and 1, where it covers better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from roundsmith.errors import ConfigError

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000
CELLS = 2**22
"""Draws held at once, so that memory does not grow with the tasks."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval."""

    low: float
    high: float


def mean_interval(
    values: Sequence[float] | Floats,
    *,
    seed: int,
    bounds: tuple[float, float],
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """The interval of the mean of `values`, one a task, each within `bounds`; the same for a seed.

    Where all values are alike a bootstrap would claim certainty; then the interval reaches as far
    as the share of unlike tasks that n like ones leave possible (1 - (1 - level)^(1/n)) allows.
    Raises ConfigError for no values.
    """
    x = np.asarray(values, dtype=np.float64)
    if not x.size:
        raise ConfigError("saw no tasks, expected at least one to give an interval")
    unique, counts = np.unique(x, return_counts=True)
    if unique.size == 1:
        return _of_constant(float(unique[0]), x.size, bounds, level)
    means = _resampled_means(unique, counts, seed, resamples)
    low, high = np.quantile(means, _bca_levels(x, means, level))
    return Interval(float(low), float(high))


def _of_constant(value: float, n: int, bounds: tuple[float, float], level: float) -> Interval:
    unlike = 1.0 - (1.0 - level) ** (1.0 / n)
    low, high = bounds
    return Interval(value - unlike * (value - low), value + unlike * (high - value))


def _resampled_means(
    unique: Floats, counts: npt.NDArray[np.int64], seed: int, resamples: int
) -> Floats:
    """Means of resampled tasks: how often each value is drawn is multinomial."""
    n, random = int(counts.sum()), np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, CELLS // unique.size)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        means[start : start + size] = random.multinomial(n, counts / n, size=size) @ unique / n
    return means


def _bca_levels(x: Floats, means: Floats, level: float) -> Floats:
    """alpha_i = Phi(z0 + (z0 + z_i) / (1 - a (z0 + z_i))); ties at the estimate count half."""
    below = np.mean(means < x.mean() - 1e-12) + 0.5 * np.mean(np.abs(means - x.mean()) <= 1e-12)
    z0 = ndtri(np.clip(below, 1 / (means.size + 1), means.size / (means.size + 1)))
    centred = x - x.mean()
    a = np.sum(centred**3) / (6.0 * np.sum(centred**2) ** 1.5)
    z = z0 + ndtri([(1 - level) / 2, (1 + level) / 2])
    return np.asarray(ndtr(z0 + z / (1 - a * z)), dtype=np.float64)
