"""Rates by CPU time of this process and everything below it, and by the clock."""

import time
from typing import NamedTuple

from roundsmith.cpu_time import TICK_S, tree_cpu_s


class Rate(NamedTuple):
    """How many a second of CPU time, and a second by the clock."""

    by_cpu: float
    by_clock: float

    def times(self, factor: float) -> "Rate":
        """So many times as many."""
        return Rate(self.by_cpu * factor, self.by_clock * factor)


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._start, self._cpu_s = time.monotonic(), tree_cpu_s()

    @property
    def wall_s(self) -> float:
        """So far, by the clock."""
        return time.monotonic() - self._start

    def rate(self, count: int) -> Rate:
        """That of so many until now."""
        return Rate(count / max(tree_cpu_s() - self._cpu_s, TICK_S), count / self.wall_s)
