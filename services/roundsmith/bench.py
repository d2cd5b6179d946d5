"""What every bench reports: one measurement beside its peer's, made in the same run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One case against one peer. `ratio` is value / against_value where more is better, else its
    inverse.
    """

    case: str
    value: float
    unit: str
    against: str
    against_value: float
    ratio: float

    @classmethod
    def of_slices(
        cls, case: str, unit: str, against: str, rates: Sequence[tuple[float, float]]
    ) -> "BenchResult":
        """The medians of rates that were measured in turns, ours and the peer's."""
        value, other = (statistics.median(found) for found in zip(*rates, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in rates)
        return cls(case, value, unit, against, other, ratio)
