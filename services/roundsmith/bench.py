"""What every bench reports: one measurement beside its peer's, made in the same run."""

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
