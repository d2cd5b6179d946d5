"""What a script printed against what it must print."""

import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from itertools import zip_longest

from roundsmith.types import OutputRule, StdioTest

_END = "the end"
_SHOWN = 80
# Digits enough for integers that a float can not tell apart; nothing is raised, whatever the sizes.
_EXACT = Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def difference(printed: bytes, test: StdioTest) -> str:
    """Where the output differs first, for a person; empty where it is right by the test's rule.

    Bytes that are no UTF-8 are read as replacement characters, which no expected text needs.
    """
    seen = printed.decode("utf-8", "replace")
    match test.rule:
        case OutputRule.LINES:
            return _first("line", _lines(seen), _lines(test.stdout), test)
        case OutputRule.TOKENS:
            return _first("word", seen.split(), test.stdout.split(), test)
        case OutputRule.EXACT:
            lines = seen.splitlines(keepends=True), test.stdout.splitlines(keepends=True)
            return _first("line", *lines, test)


def _lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.rstrip().split("\n")]


def _first(what: str, seen: list[str], wanted: list[str], test: StdioTest) -> str:
    for at, (got, want) in enumerate(zip_longest(seen, wanted), 1):
        if got != want and not (got and want and _close(got, want, test)):
            shown = (_END if part is None else part[:_SHOWN] for part in (want, got))
            return "{} {}: expected {!r}, got {!r}".format(what, at, *shown)
    return ""


def _close(got: str, want: str, test: StdioTest) -> bool:
    """Whether both are decimal numbers within a tolerance of the test."""
    if test.tolerance is None and test.relative_tolerance is None:
        return False
    if not (_NUMBER.fullmatch(got) and _NUMBER.fullmatch(want)):
        return False
    try:
        seen, wanted = Decimal(got), Decimal(want)
    except InvalidOperation:  # an exponent of more digits than there are numbers
        return False
    apart = _EXACT.abs(_EXACT.subtract(seen, wanted))
    share = _EXACT.multiply(_said(test.relative_tolerance), _EXACT.abs(wanted))
    return apart.is_finite() and apart <= max(_said(test.tolerance), share)


def _said(tolerance: float | None) -> Decimal:
    """The number as it was written."""
    return Decimal(repr(tolerance or 0.0))


def within(seen: float, wanted: float, absolute: float | None, relative: float | None) -> bool:
    """Whether finite numbers are apart by no more than one of the tolerances allows."""
    if not (math.isfinite(seen) and math.isfinite(wanted)):
        return False
    return abs(seen - wanted) <= max(absolute or 0.0, (relative or 0.0) * abs(wanted))
