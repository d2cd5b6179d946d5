"""Many claims at once: Holm's step-down (Holm 1979), and the verdict on each."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from roundsmith.statistics.bootstrap import Interval


class Holds(StrEnum):
    """What a comparison says of a claim."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What Holm makes of one of several claims."""

    p_value: float
    """Holm's: at most alpha where the claim is shown, all claims together."""
    level: float
    """Of the interval that belongs to it."""


def holm(p_values: Sequence[float], alpha: float = 0.05) -> list[Adjusted]:
    """Each claim's adjusted p-value and the level of its interval, in the order given.

    The i-th smallest of m p-values, from 0, is held against alpha / (m - i), until one is larger;
    that one's threshold is that of all after it. So an interval excludes the tested value just
    where the adjusted p-value is at most alpha.
    """
    m = len(p_values)
    found: dict[int, Adjusted] = {}
    highest, stopped_at = 0.0, -1
    for i, place in enumerate(sorted(range(m), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (m - i) * p_values[place]))
        step = stopped_at if stopped_at >= 0 else i
        threshold = alpha / (m - step)
        found[place] = Adjusted(highest, 1 - threshold)
        if stopped_at < 0 and p_values[place] > threshold:
            stopped_at = i
    return [found[place] for place in range(m)]


def verdict(interval: Interval, shown_above: float, refuted_below: float) -> Holds:
    """Yes where the whole interval is above the one bound, no where it is below the other."""
    if interval.low > shown_above:
        return Holds.YES
    return Holds.NO if interval.high < refuted_below else Holds.UNDECIDED
