"""The wall limit of a question is for the time in which its child sleeps.

What a child runs for has a limit of its own, and what it waits for a core is the machine's: so a
loop is CPU_TIMEOUT on a busy machine as on an idle one, and who wakes now and then is asleep.
"""

from roundsmith.sandbox.children import Child, Children

MOST_WALLS = 10
"""So many times its limit a question may take, whatever the machine does."""


class WallClock:
    """Started when it is made, at a time and CPU time of the child."""

    def __init__(
        self, children: Children, child: Child, limit_s: float, now: float, cpu_s: float
    ) -> None:
        self._children, self._child, self._limit_s = children, child, limit_s
        self.start = self._mark = now
        self._end, self._latest = now + limit_s, now + MOST_WALLS * limit_s
        self._cpu_mark, self._waited_mark, self._slept_s = cpu_s, child.waited_s, 0.0

    def left_s(self, now: float, cpu_s: float) -> float:
        """Seconds that surely are left, none when the limit is reached."""
        if now >= self._end:
            waited_s = self._children.waited_s(self._child)
            awake_s = cpu_s - self._cpu_mark + waited_s - self._waited_mark
            self._slept_s += max(0.0, now - self._mark - awake_s)
            self._mark, self._cpu_mark, self._waited_mark = now, cpu_s, waited_s
            self._end = min(now + self._limit_s - self._slept_s, self._latest)
        return self._end - now
