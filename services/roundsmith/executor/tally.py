"""What the executor counts as it works, cheaply: plain numbers, read when Prometheus asks."""

from bisect import bisect_left
from collections import Counter

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class Durations:
    """How many were how long, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, int]]:
        """Upper bounds, with how many are not above each."""
        total, found = 0, []
        for bound, count in zip((*map(str, _SECONDS), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, total))
        return found


class Tally:
    """The counts of one pool since its start."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """By verdict and tier."""
        self.runs: Counter[str] = Counter()
        """`row`: a child for the cells of a row; `alone`: one for a cell that is in doubt."""
        self.retries: Counter[str] = Counter()
        """`sandbox`: cells, because it failed; `gave_way`: runs ended for another caller."""
        self.confirmed_at = 0.0
        """When a finding was last confirmed."""
        self.num_known = 0
        """Cells that were answered from what was run before."""
        self.num_open = 0
        """Cells of items under way that have no outcome yet."""
        self.cpu_s = 0.0
        self.waits = Durations()
        self.durations = Durations()
