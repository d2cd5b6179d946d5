"""The clocks of two children that take turns: what both spend is one cell's."""

from collections.abc import Sequence

from roundsmith.sandbox.children import Child, Children
from roundsmith.sandbox.questions import Budget, Ended, Reply
from roundsmith.sandbox.wall import MOST_WALLS


class Clocks:
    """What the children have spent of a budget. While one works the other waits for it, so time is
    slept in which neither runs or waits for a core.
    """

    def __init__(self, children: Children, taking_turns: Sequence[Child], budget: Budget) -> None:
        self._children, self._taking_turns, self._budget = children, taking_turns, budget
        self._cpu_before_s, self._waited_before_s = self._cpu_s(), self._waited_s()
        self.wall_s = 0.0
        """Of the questions that were answered: how long a child took to be there is not in it."""

    @property
    def cpu_s(self) -> float:
        return self._cpu_s() - self._cpu_before_s

    def count(self, result: Reply | Ended) -> None:
        """Adds the wall time of a question."""
        self.wall_s += result.wall_s

    def left(self) -> Budget | Ended:
        """What the next question may use, or the end where nothing is left."""
        cpu_s = self._budget.cpu_s - self.cpu_s
        wall_s = self._budget.wall_s - self._slept_s()
        if cpu_s <= 0:
            return self.ended("cpu")
        if wall_s <= 0 or self.wall_s >= MOST_WALLS * self._budget.wall_s:
            return self.ended("wall")
        return self._budget._replace(cpu_s=cpu_s, wall_s=wall_s)

    def ended(self, why: str, detail: str = "") -> Ended:
        """The end of a child, with what both have spent; a limit is that of the whole budget."""
        limits = {
            "cpu": f"more than {self._budget.cpu_s:.3g} s of CPU time",
            "wall": f"more than {self._budget.wall_s:.3g} s of wall time",
        }
        return Ended(why, limits.get(why, detail), self.cpu_s, self.wall_s)

    def _slept_s(self) -> float:
        slept_s = self.wall_s - self.cpu_s
        if slept_s > self._budget.wall_s / 2:  # before that it does not matter, and is dear to ask
            slept_s -= self._waited_s() - self._waited_before_s
        return max(0.0, slept_s)

    def _cpu_s(self) -> float:
        return sum(child.cpu_s() for child in self._taking_turns)

    def _waited_s(self) -> float:
        return sum(map(self._children.waited_s, self._taking_turns))
