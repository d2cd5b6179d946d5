"""Differences over seeds and tasks at once: every seed looks at the same tasks.

Axes: S seeds, T tasks. The unit is the seed: two arms of one seed are paired, task by task.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from roundsmith.errors import ConfigError
from roundsmith.statistics.bootstrap import Interval

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """Paired differences of shares on some tasks, [S, T], and what their mean counts for. One
    column is a measurement that has no tasks.
    """

    values_ST: Floats
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Contrast:
    """The weighted sum of the parts' means, which can not leave ±bound; its standard error is
    infinite where nothing is known of it.
    """

    difference: float
    standard_error: float
    degrees: int
    num_seeds: int
    num_tasks: int
    bound: float = 1.0

    def interval(self, level: float = 0.95) -> Interval:
        """d ± t SE, by Student's t: seeds are few."""
        if math.isinf(self.standard_error):
            return Interval(-math.inf, math.inf)
        reach = float(stdtrit(self.degrees, (1 + level) / 2)) * self.standard_error
        low, high = self.difference - reach, self.difference + reach
        return Interval(max(low, -self.bound), min(high, self.bound))

    def p_value(self, expected: float = 0.0) -> float:
        """Two-sided, of a true difference of `expected`."""
        if math.isinf(self.standard_error):
            return 1.0
        distance = abs(self.difference - expected) / self.standard_error
        return float(2 * stdtr(self.degrees, -distance))


def contrast(parts: Sequence[Part]) -> Contrast:
    """The difference with its standard error, SE^2 = V_seeds + V_tasks - V_cells.

    V_seeds is what resampling the seeds gives without end, V_tasks what resampling the tasks does,
    each with n / (n - 1) for the smallness of the sample; both hold the noise of the single cells,
    V_cells, which counts once (multiway clustering: Cameron, Gelbach and Miller 2011; the bootstrap
    that resamples rows and columns at once, Owen 2007, would count it three times). Never less than
    either alone. One seed, or cells without any spread, tell nothing: then SE is infinite.
    """
    shapes = {part.values_ST.shape[0] for part in parts if part.values_ST.ndim == 2}
    if len(shapes) != 1 or any(p.values_ST.ndim != 2 or not p.values_ST.size for p in parts):
        raise ConfigError(
            f"saw parts of shapes {[part.values_ST.shape for part in parts]}, expected the same "
            "seeds in each, at least one, and at least one task"
        )
    (num_seeds,) = shapes
    by_seed_S = np.sum([part.weight * part.values_ST.mean(1) for part in parts], 0)
    tasks = [part.values_ST.shape[1] for part in parts]
    num_tasks = sum(size for size in tasks if size > 1)
    bound = sum(abs(part.weight) for part in parts)
    degrees = min([num_seeds, *(size for size in tasks if size > 1)]) - 1
    difference = float(by_seed_S.mean())
    if num_seeds < 2:
        return Contrast(difference, math.inf, 0, num_seeds, num_tasks, bound)
    of_seeds = float(by_seed_S.var(ddof=1)) / num_seeds
    of_tasks = sum(part.weight**2 * _of_tasks(part.values_ST) for part in parts)
    of_cells = sum(part.weight**2 * _of_cells(part.values_ST) for part in parts)
    variance = max(of_seeds + of_tasks - of_cells, of_seeds, of_tasks)
    # Rounding aside, no spread at all.
    error = math.sqrt(variance) if variance > 1e-24 else math.inf
    return Contrast(difference, error, degrees, num_seeds, num_tasks, bound)


def _of_tasks(values_ST: Floats) -> float:
    num_tasks = values_ST.shape[1]
    return float(values_ST.mean(0).var(ddof=1) / num_tasks) if num_tasks > 1 else 0.0


def _of_cells(values_ST: Floats) -> float:
    """The variance that the cells' own noise gives to the mean of all."""
    num_seeds, num_tasks = values_ST.shape
    if num_tasks < 2:
        return 0.0
    rows, columns = values_ST.mean(1, keepdims=True), values_ST.mean(0, keepdims=True)
    rest = values_ST - rows - columns + values_ST.mean()
    free = (num_seeds - 1) * (num_tasks - 1)
    return float((rest**2).sum() / free / (num_seeds * num_tasks))
