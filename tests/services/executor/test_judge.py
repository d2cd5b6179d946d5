"""What equal means: by type and value for call tests, as Python's == for asserts."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.executor.judge import Rule, Tolerance, equal, text
from roundsmith.sandbox.codec import decode, encode, nodes
from tests.nested import nested

NUMBERS = (
    st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.0, math.inf, 1e300])
)
LEAVES = NUMBERS | st.none() | st.text("ab", max_size=2) | st.binary(max_size=1)
VALUES = nested(LEAVES, keys=LEAVES, max_leaves=6)


def same(
    answer: Any,
    expected: Any,
    rule: Rule = Rule.STRICT,
    tolerance: float | None = None,
    relative: float | None = None,
) -> bool:
    allowed = Tolerance(tolerance, relative)
    return equal(nodes(encode(answer)), nodes(encode(expected)), rule, allowed)


@given(VALUES, VALUES)
def test_the_python_rule_is_pythons_equality(a: Any, b: Any) -> None:
    assert same(a, b, Rule.PYTHON) == (a == b)
    assert same(a, a, Rule.PYTHON)


@given(VALUES, VALUES)
def test_the_strict_rule_implies_pythons_equality_and_is_symmetric(a: Any, b: Any) -> None:
    assert same(a, a)
    assert same(a, b) == same(b, a)
    if same(a, b):
        assert a == b
        assert type(a) is type(b)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, 1),
        (1, 1.0),
        ([1], (1,)),
        ("1", 1),
        ({1}, frozenset({1})),
        ([1, 2], [2, 1]),
        ([True], [1]),
        (None, False),
        ({1: 2}, {1: 2.0}),
    ],
)
def test_call_tests_tell_types_apart(answer: object, expected: object) -> None:
    assert not same(answer, expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (math.nan, math.nan),
        ([math.nan], [math.nan]),
        (0.0, -0.0),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({3, 1}, {1, 3}),
        (1 << 5000, 1 << 5000),
    ],
)
def test_call_tests_compare_by_value(answer: object, expected: object) -> None:
    assert same(answer, expected)


def test_nan_equals_nothing_for_an_assert() -> None:
    assert not same(math.nan, math.nan, Rule.PYTHON)


@pytest.mark.parametrize(
    ("answer", "expected", "close"),
    [
        (1.0005, 1.0, True),
        (1.5, 1.0, False),
        ([1.0, (2.0005,)], [1.0, (2.0,)], True),
        ({"a": 1.0005}, {"a": 1.0}, True),
        ({"a": 1.0005, "b": 1}, {"a": 1.0}, False),
        (1, 1.0, False),
        (2, 2, True),
        (3, 2, False),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
        (1.0, math.nan, False),
        (math.inf, math.inf, True),
        (-math.inf, math.inf, False),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_a_tolerance_is_for_floats_at_any_depth(
    answer: object, expected: object, close: bool
) -> None:
    assert same(answer, expected, tolerance=1e-3) is close


@pytest.mark.parametrize(
    ("answer", "expected", "absolute", "relative", "close"),
    [
        (1001.0, 1000.0, None, 1e-3, True),
        (1002.0, 1000.0, None, 1e-3, False),
        (1002.0, 1000.0, 5.0, 1e-3, True),
        (-1001.0, -1000.0, None, 1e-3, True),
        (1e-9, 0.0, None, 1e-3, False),
        (1e-9, 0.0, 1e-6, 1e-3, True),
        ([1001.0], [1000.0], None, 1e-3, True),
        (math.inf, 1e308, None, 9.0, False),
        (0.0, -0.0, None, 0.0, True),
    ],
)
def test_a_relative_tolerance_is_a_share_of_the_expected_float(
    answer: object, expected: object, absolute: float | None, relative: float, close: bool
) -> None:
    assert same(answer, expected, Rule.STRICT, absolute, relative) is close


@given(VALUES, VALUES)
def test_a_tolerance_of_nothing_is_the_strict_rule(a: Any, b: Any) -> None:
    assert same(a, b, Rule.STRICT, 0.0) == same(a, b)


AWKWARD = LEAVES | st.sampled_from(
    [
        math.nan,
        complex(1, 0),
        complex(0, -0.0),
        complex(math.nan, 1),
        2**53,
        float(2**53),
        2**53 + 1,
    ]
)
NESTED = st.recursive(
    AWKWARD,
    lambda v: (
        st.lists(v, max_size=3)
        | st.tuples(v, v)
        | st.sets(AWKWARD, max_size=3)
        | st.dictionaries(AWKWARD, v, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=500)
@given(NESTED, NESTED)
def test_awkward_values_are_equal_as_python_says_of_values_made_apart(a: Any, b: Any) -> None:
    """Python calls one NaN object equal to itself inside of a container; what crosses is another
    object.
    """
    for expected in (a, b):
        made = decode(encode(expected))
        assert same(a, expected, Rule.PYTHON) == (a == made)
        assert same(expected, a, Rule.PYTHON) == (made == a)


def test_values_are_shown_cut_and_without_much_work() -> None:
    for value in (
        10**100000,
        "x" * 10**5,
        [[0] * 1000] * 100,
        {1: {2: [3]}},
        set(),
        frozenset({1}),
        object(),
    ):
        assert 0 < len(text(nodes(encode(value)))) <= 80
    assert text(nodes(encode([1, "a", (2.5,)]))) == "[1, 'a', (2.5)]"
