"""When what a script printed is what it must print, by each rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.errors import ConfigError
from roundsmith.executor.outputs import difference
from roundsmith.executor.questions import question
from roundsmith.types import CallTest, OutputRule, StdioTest
from roundsmith.types import Test as AnyTest


def right(
    printed: str,
    expected: str,
    rule: OutputRule,
    tolerance: float | None = None,
    relative_tolerance: float | None = None,
) -> bool:
    test = StdioTest("t", "", expected, rule, tolerance, relative_tolerance)
    return not difference(printed.encode(), test)


@pytest.mark.parametrize(
    ("printed", "expected", "lines", "tokens", "exact"),
    [
        ("1 2\n3\n", "1 2\n3\n", True, True, True),
        ("1 2 \n3\n\n\n", "1 2\n3", True, True, False),
        ("1  2\n3", "1 2\n3", False, True, False),
        ("1\n2\n3", "1 2\n3", False, True, False),
        ("\n1 2", "1 2", False, True, False),
        ("12\n3", "1 2\n3", False, False, False),
        ("1 2\n", "1 2\n3\n", False, False, False),
        ("1 2\n3\n4\n", "1 2\n3\n", False, False, False),
        ("", "\n", True, True, False),
        ("1 2\r\n3\r\n", "1 2\n3\n", True, True, False),
        ("Yes", "YES", False, False, False),
        ("1.0", "1", False, False, False),
    ],
)
def test_each_rule_compares_what_it_says(
    printed: str, expected: str, lines: bool, tokens: bool, exact: bool
) -> None:
    assert right(printed, expected, OutputRule.LINES) is lines
    assert right(printed, expected, OutputRule.TOKENS) is tokens
    assert right(printed, expected, OutputRule.EXACT) is exact


@pytest.mark.parametrize(
    ("printed", "expected", "tolerances", "close"),
    [
        ("0.3333", "0.33333333", {"tolerance": 1e-3}, True),
        ("0.3333", "0.33333333", {"tolerance": 1e-6}, False),
        ("1000001", "1000000", {"relative_tolerance": 1e-5}, True),
        ("1000001", "1000000", {"relative_tolerance": 1e-7}, False),
        ("1000001", "1000000", {"tolerance": 1e-9, "relative_tolerance": 1e-5}, True),
        ("0.0", "1e-9", {"relative_tolerance": 1e-6}, False),
        ("-0", "0", {"tolerance": 0.0}, True),
        ("1e3", "1000", {"tolerance": 0.0}, True),
        ("1.0", "one", {"tolerance": 9.0}, False),
        ("nan", "1", {"tolerance": 9.0}, False),
        ("nan", "nan", {"tolerance": 0.0}, True),
        ("inf", "1e999", {"tolerance": 9.0}, False),
        ("1_0", "10", {"tolerance": 9.0}, False),
        ("٣", "3", {"tolerance": 9.0}, False),
        ("YES 0.5", "YES 0.50001", {"tolerance": 1e-4}, True),
        ("0.5 YES", "0.50001 NO", {"tolerance": 1e-4}, False),
        ("1 2", "1", {"tolerance": 9.0}, False),
        ("9007199254740992", "9007199254740993", {"tolerance": 1e-6}, False),
        ("9007199254740992", "9007199254740993", {"tolerance": 1.0}, True),
        ("1" * 99 + "1", "1" * 99 + "2", {"tolerance": 0.5}, False),
        ("0.3", "0", {"tolerance": 0.3}, True),
        ("1e400", "1.0000001e400", {"relative_tolerance": 1e-6}, True),
        ("1e999999999", "1", {"tolerance": 9.0, "relative_tolerance": 9.0}, False),
        ("1e" + "9" * 40, "1", {"tolerance": 9.0}, False),
    ],
)
def test_a_tolerance_is_for_words_that_are_numbers(
    printed: str, expected: str, tolerances: dict[str, float], close: bool
) -> None:
    assert right(printed, expected, OutputRule.TOKENS, **tolerances) is close


def test_the_first_difference_is_told_by_its_place() -> None:
    lines, words = StdioTest("t", "", "1\n2\n3"), StdioTest("t", "", "1 2 3", OutputRule.TOKENS)
    assert difference(b"1\n2\n", lines) == "line 3: expected '3', got 'the end'"
    assert difference(b"1 9 3", words) == "word 2: expected '2', got '9'"
    assert len(difference(b"x" * 10**6, lines)) < 200


@given(st.binary(max_size=40), st.sampled_from(OutputRule))
def test_any_bytes_can_be_compared(printed: bytes, rule: OutputRule) -> None:
    text = printed.decode("utf-8", "replace")
    assert not difference(printed, StdioTest("t", "", text, rule))
    assert difference(printed + b"x", StdioTest("t", "", text, rule))


@pytest.mark.parametrize(
    "test",
    [
        StdioTest("t", "", "1", tolerance=1e-6),
        StdioTest("t", "", "1", OutputRule.EXACT, relative_tolerance=1e-6),
        StdioTest("t", "", "1", OutputRule.TOKENS, tolerance=-1.0),
        CallTest("t", "f", (), 1.0, tolerance=float("nan")),
        CallTest("t", "f", (), 1.0, relative_tolerance=float("inf")),
    ],
)
def test_a_tolerance_that_can_not_be_meant_is_refused(test: AnyTest) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        question(test)
