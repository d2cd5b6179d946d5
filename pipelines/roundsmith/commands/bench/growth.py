"""By which power of the amount of work something grows: 1 is linear."""

import math

from roundsmith.bench import BenchResult

AIM = 1.05
"""The most that the time of a round may grow by."""


def growth(case: str, more: float, times: float) -> BenchResult:
    """The power by which a quantity grew that became `more` times as large with `times` as much
    work.
    """
    power = math.log(more) / math.log(times)
    ratio = AIM / max(power, AIM / 100)  # what does not grow at all is no infinite number
    return BenchResult(case, power, "power", "the aim", AIM, ratio)
