"""When EvalPlus calls two results the same, as the text of a test.

Equal by `==`, or close where a tolerance holds: the row's own, or 1e-6 where the expected value is
a float or a list or tuple of floats; then the types must be the same too, and numpy's relative
tolerance of 1e-7 is added. Some tasks have a rule of their own (EvalPlus 0.3.1, `eval`).
"""

from collections.abc import Sequence
from typing import Any

_RULES = """
def is_floats(value):
    if isinstance(value, (list, tuple)) and value:
        return all(isinstance(member, float) for member in value)
    return isinstance(value, float)

def is_close(got, want, tolerance):
    if isinstance(want, (list, tuple)):
        if len(got) != len(want):
            return False
        return all(is_close(a, b, tolerance) for a, b in zip(got, want))
    return abs(got - want) <= tolerance + 1e-7 * abs(want)

def is_equal(got, want, tolerance):
    if got == want:
        return True
    if tolerance == 0 and is_floats(want):
        tolerance = 1e-6
    return tolerance != 0 and type(got) is type(want) and is_close(got, want, tolerance)

def is_right(got, want, given, tolerance):
    return is_equal(got, want, tolerance)
"""

_SET = """
def is_right(got, want, given, tolerance):
    return set(got) == set(want)
"""
_FOUND = """
def is_right(got, want, given, tolerance):
    return (got if isinstance(got, bool) else got is not None) == (want is not None)
"""
_ANYTHING = """
def is_right(got, want, given, tolerance):
    return True
"""
_ZERO_TOO = """
def is_right(got, want, given, tolerance):
    return got == 0 or is_equal(got, want, tolerance)
"""
_PYRAMID = """
def is_right(got, want, given, tolerance):
    base, height = given
    slant = ((base / 2) ** 2 + height**2) ** 0.5
    other = round(base**2 + 2 * base * slant)
    return abs(got - other) <= tolerance or is_equal(got, want, tolerance)
"""
_DIGITS = """
def is_right(got, want, given, tolerance):
    first, second = map(str, given)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width))
    return got == sum(abs(int(a) - int(b)) for a, b in pairs) or is_equal(got, want, tolerance)
"""
_ROOT = """
def is_right(got, want, given, tolerance):
    return abs(sum(c * got**i for i, c in enumerate(given[0]))) <= tolerance
"""
_OWN_RULES = {
    **dict.fromkeys(
        (
            *("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"),
            *("larg_nnum", "intersection_array", "find_dissimilar", "Diff"),
        ),
        _SET,
    ),
    **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), _FOUND),
    "are_equivalent": _ANYTHING,
    "sum_div": _ZERO_TOO,
    "surface_Area": _PYRAMID,
    "digit_distance_nums": _DIGITS,
    "find_zero": _ROOT,
}

_CHECK = """
import copy
from solution import {entry_point} as candidate

inf, nan = float("inf"), float("nan")
reference = {{}}
exec({reference!r}, reference)
for given in {inputs}:
    want = reference[{entry_point!r}](*copy.deepcopy(given))
    got = candidate(*copy.deepcopy(given))
    assert is_right(got, want, given, {tolerance!r}), f"{{given!r}}: want {{want!r}}, got {{got!r}}"
"""


def source(entry_point: str, reference: str, inputs: Sequence[list[Any]], tolerance: float) -> str:
    """The text of a test of these inputs, each the arguments of one call."""
    check = _CHECK.format(
        reference=reference, inputs=list(inputs), entry_point=entry_point, tolerance=tolerance
    )
    return _RULES + _OWN_RULES.get(entry_point, "") + check
