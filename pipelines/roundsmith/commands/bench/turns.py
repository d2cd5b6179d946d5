"""Two ways to do the same work, measured in turns."""

import statistics
import time
from collections.abc import Callable

from roundsmith.bench import BenchResult

TURNS = 5


def in_turns(
    case: str,
    amount: float,
    unit: str,
    ours: Callable[[], object],
    against: str,
    theirs: Callable[[], object],
    turns: int = TURNS,
    their_amount: float | None = None,
    warm_up: bool = True,
) -> BenchResult:
    """Median rates of `amount` a second over turns, after one turn that is not counted where there
    is to be a `warm_up`; what is compared with may do another amount, `their_amount`, in its turn.

    The ratio is the median over turns, ours over theirs, so that slow moments of the machine weigh
    on both.
    """
    if warm_up:
        ours(), theirs()
    its_amount = amount if their_amount is None else their_amount
    pairs = [(amount / seconds(ours), its_amount / seconds(theirs)) for _ in range(turns)]
    value, other = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratio = statistics.median(mine / its for mine, its in pairs)
    return BenchResult(case, value, unit, against, other, ratio)


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
