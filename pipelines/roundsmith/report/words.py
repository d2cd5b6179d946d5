"""Numbers as people read them."""

import math

from roundsmith import statistics

NARROW, FIXED = "\u202f", "\u00a0"
"""Spaces at which no line breaks."""


def percent(value: float) -> str:
    """A share, to a tenth of a percent; a share that is not 0 never reads as 0."""
    return f"< 0.1{NARROW}%" if 0 < value < 0.0005 else f"{100 * value:.1f}{NARROW}%"


def points(value: float) -> str:
    """A difference of shares in percentage points, always with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def p_value(value: float) -> str:
    """A p-value to two digits; those at the floor of the permutations as a bound."""
    return statistics.p_words(value).replace(" ", FIXED)


def whole(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}".replace(",", NARROW)


def duration(seconds: float) -> str:
    """Seconds as h, min and s, the two largest that matter; what would read as none in ms."""
    if 0 < seconds < 0.05:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float) -> str:
    """A number for an axis or a label: three digits that matter."""
    if value and (abs(value) >= 100_000 or abs(value) < 0.001) and math.isfinite(value):
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def p_equals(value: float) -> str:
    """`p = 0.012` or `p <= 1e-05`, for a sentence."""
    return statistics.p_equals(value).replace(" ", FIXED)
