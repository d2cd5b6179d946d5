"""CPU time of this process and everything below it, and rates by it and by the clock."""

import os
import time
from pathlib import Path
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


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
        return Rate(count / (tree_cpu_s() - self._cpu_s), count / self.wall_s)


def tree_cpu_s() -> float:
    """CPU seconds of this process, of every process below it, and of all that these have reaped."""
    return sum(map(_cpu_s, _tree(str(os.getpid()))))


def _tree(pid: str) -> list[str]:
    children = [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [pid, *(found for child in children for found in _tree(child))]


def _cpu_s(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * _TICK_S
