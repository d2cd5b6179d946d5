"""What an assert says of a call's value by Python's own functions, decided by the judge as by
Python itself.
"""

import math
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.executor.asked_asserts import NotSplittable, asked_by
from roundsmith.executor.asserts import split
from roundsmith.executor.questions import question
from roundsmith.executor.setups import leaves
from roundsmith.sandbox.codec import CodecError, encode, encode_opaque
from roundsmith.types import AssertTest, JudgedAt
from roundsmith.verdicts import Verdict
from tests.nested import hashable, nested

NUMBERS = (
    st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.1 + 0.2, 0.3, -0.0, 1e-7, math.inf, -math.inf, math.nan, 2**70, 10**400])
    | st.floats(allow_nan=True)
)
SCALARS = NUMBERS | st.none() | st.sampled_from(["", "a", "ab", "12", b"", b"a", 1j, 0j])
VALUES = nested(SCALARS, hashable(SCALARS, max_leaves=4), max_leaves=8)
NUMBER_ASKED = [
    "abs(f() - 0.3) < 1e-6",
    "abs(2 - f()) <= 1",
    "math.fabs(f() - 1.0) < 0.5",
    "math.isclose(f(), 0.3)",
    "math.isclose(2, f(), rel_tol=0.5, abs_tol=1e-9)",
    "math.isclose(f(), 1, rel_tol=-1)",
    "round(f(), 1) == 0.3",
    "round(f()) == 0",
    "int(f()) == 12",
    "float(f()) == float('inf')",
    "f() != -float('inf')",
    "f() > 0",
    "-1 <= f() < 2 < 3",
    "f() - 1 == -1",
    "not f() == 1",
    "isinstance(f(), int)",
    "not isinstance(f(), (bool, float, str))",
    "bool(f()) is True",
]
VALUE_ASKED = [
    *NUMBER_ASKED,
    "f() is None",
    "f() is not False",
    "True is f()",
    "f() in (1, None, 'a', [])",
    "f() not in {1, 0.3, 'a', (1, 1)}",
    "1 in f()",
    "'a' not in f()",
    "len(f()) == 2",
    "set(f()) == set([1, 0])",
    "frozenset(f()) <= {0, 1, 2, 'a', 97}",
    "len(set(f())) == len([1, 2])",
    "sorted(f()) == [False, 1]",
    "sorted(set(f())) == sorted({2, 1})",
    "sorted(f()) != list((1, 1))",
    "list(f()) == ['a', 'b']",
    "tuple(f()) == tuple([1, 2])",
    "[1, (2,)] >= f()",
    "f() - {1} == set()",
    "f() == set(['a'])",
]


def says(test: str, value: object) -> Verdict:
    """What Python says of an assert, in one process."""
    code = compile(f"assert {test}", "<test>", "exec")
    try:
        exec(code, {"f": lambda: value, "math": math})
    except AssertionError:
        return Verdict.FAIL
    except Exception:
        return Verdict.ERROR
    return Verdict.PASS


def judged(test: str, value: object) -> Verdict | None:
    """What the judge says, None where it leaves it to a tester."""
    asked = asked_by(f"assert {test}")
    assert asked is not None, test
    try:
        return asked.judge(encode(value))[0]
    except NotSplittable:
        return None


@given(st.sampled_from(VALUE_ASKED), VALUES)
def test_the_verdict_is_pythons_or_a_testers(test: str, value: object) -> None:
    assert judged(test, value) in (says(test, value), None)


@given(st.sampled_from(NUMBER_ASKED), SCALARS)
def test_of_a_scalar_the_verdict_is_always_pythons(test: str, value: object) -> None:
    assert judged(test, value) is says(test, value)


@pytest.mark.parametrize("test", [test for test in VALUE_ASKED if "rel_tol=-1" not in test])
def test_each_condition_is_decided_here_for_values_that_it_is_made_for(test: str) -> None:
    values: list[Any] = [1, 0.3, "ab", [1, 0], (1, 2), {1, 2}, {"a": 1, "b": 2}, None, 12.5]
    values += [[False, 1], ["a", "b"], {0, 1}, {"a"}, math.inf, -math.inf, False, True, {1}]
    values += [[2, (3,)], [2, 1], [], [1, 1]]
    verdicts = [judged(test, value) for value in values]
    assert {Verdict.PASS, Verdict.FAIL} <= set(verdicts)
    assert verdicts == [v and says(test, value) for v, value in zip(verdicts, values, strict=True)]


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("test", "value"),
    [
        ("f() != 2", Level.LOW),
        ("f() != 2", [Level.LOW]),
        ("isinstance(f(), int)", Level.LOW),
        ("len(set(f())) == 1", [math.nan, math.nan]),
        ("sorted(f()) == [1, 2]", [2, math.nan, 1]),
        ("sorted(f()) == [(1, 'a')]", {(1, "a")}),
        ("list(f()) == [1, 2]", {1, 2}),
        ("set(f()) == {1}", [[1]]),
        ("sorted(f()) == [1]", [1, "a"]),
        ("set(f()) == {1}", list(range(600))),
        ("len(f()) == 600", dict.fromkeys(range(600), 0)),
        ("len(f()) == 20000", "a" * 20_000),
    ],
)
def test_what_is_no_small_plain_value_of_one_order_is_left_to_a_tester(
    test: str, value: object
) -> None:
    assert judged(test, value) is None


def test_what_does_not_cross_or_was_taught_is_left_to_a_tester() -> None:
    asked = asked_by("assert f() is not None")
    assert asked is not None
    bodies = [encode_opaque("Liar"), b"l\0\0\0\1" + encode_opaque("Liar")]
    for body in bodies:
        with pytest.raises(NotSplittable):
            asked.judge(body)
    for value in (Decimal(1), Fraction(1, 2)):
        with pytest.raises(NotSplittable):
            asked.judge(encode(value))
    with pytest.raises(CodecError):
        asked.judge(b"")


def test_of_several_asserts_the_first_that_does_not_hold_decides() -> None:
    asked = asked_by("assert f(1) == 2\nassert abs(f(2) - 1) < 1\nassert f(3) is None")
    assert asked is not None
    for answers, verdict in (
        ((2, 1.5, None), Verdict.PASS),
        ((2, 2.0, 1), Verdict.FAIL),
        ((2, None, 1), Verdict.ERROR),
        ((3, None, 1), Verdict.FAIL),
    ):
        assert asked.judge(encode([encode(answer) for answer in answers]))[0] is verdict
    _, detail = asked.judge(encode([encode(2), encode(7.5), encode(None)]))
    assert detail == "what is asserted of f(2) does not hold, got 7.5"


@pytest.mark.parametrize(
    "source",
    [
        "import math\ndef check(c):\n    assert math.isclose(c(1), 2)\ncheck(f)",
        "def check(c):\n    import math\n    assert abs(c(1) - 2) < 1e-6\ncheck(f)",
        "def check(c):\n    print\n    assert c([1, 0**0]) == (3 + 5, -(2 * 3))\ncheck(f)",
        "assert f(float('inf'), -float('inf')) == [float('-inf')]",
    ],
)
def test_what_comes_before_asserts_or_stands_in_their_values_is_read(source: str) -> None:
    (part,) = split(source)
    assert part.entry_point == "f"
    assert "math" not in part.names


@pytest.mark.parametrize(
    "source",
    [
        "assert abs(f(1) - g(1)) < 1",
        "assert abs(abs(-1) - 1) < 1",
        "assert set(sorted([1])) == {1}",
        "assert 3 < 2 < f(1)",
        "assert f(1) is 1",
        "assert round(f(1), 10**9) == 1",
        "assert f(1) * 10**9 == 1",
        "assert f(1) % 5 == 1",
        "assert f(1) ** 5 == 1",
        "assert sorted(f(1), key=f) == [1]",
        "assert sorted(f(1), reverse=True) == [1]",
        "assert int(f(1), 16) == 1",
        "assert math.sqrt(f(1)) == 1",
        "assert math.isclose(f(1), 2, **{})",
        "assert list(f(1)) == list({'a', 'b'})",
        "assert isinstance(f(1), Exception)",
        "assert f(1) == 1 and f(2) == 2",
        "assert type(f(1)) == int",
        "assert max(f(1)) == 1",
        "assert f(1) in range(10**9)",
        "assert f({**{}}) == 1",
        "assert f(1) is not f",
        "import math as abs\nassert abs(f(1)) == 1",
        "assert math.isclose(f(1), 1)\nimport math",
        "assert abs(-1) == 1\nassert abs(f(1)) == 1",
        "assert f(1) < 1\n" * 33,
        "import math\nassert math(1) == 1\nassert math.isclose(f(1), 1)",
        "import math\nassert abs(math(1) - 1) < 1",
        "def check(math):\n    import math\n    assert math(1) == 1\ncheck(f)",
        "def abs(c):\n    assert abs(c(1)) == 1\nabs(f)",
        "assert len(" + "[" * 3000 + "f(1)" + "]" * 3000 + ") == 1",
    ],
)
def test_what_is_not_sound_or_too_dear_to_decide_here_is_left_whole(source: str) -> None:
    assert split(source) == ()


@pytest.mark.parametrize(
    ("setup", "test", "outside"),
    [
        ("", "abs(f() - 1) < 1", True),
        ("", "math.isclose(f(), 1)", False),
        ("import math", "math.isclose(f(), 1)", True),
        ("import re, math\nx = abs(math.pi)", "math.isclose(f(), abs(1))", True),
        ("import math as m", "math.isclose(f(), 1)", False),
        ("import numpy as math", "math.isclose(f(), 1)", False),
        ("if True:\n    import math", "math.isclose(f(), 1)", False),
        ("import math\nmath = 1", "math.isclose(f(), 1)", False),
        ("import math.tau", "math.isclose(f(), 1)", False),
        ("from numpy import *", "abs(f() - 1) < 1", False),
        ("from numpy import abs", "abs(f() - 1) < 1", False),
        ("def abs(x): return 0", "abs(f() - 1) < 1", False),
        ("class set: pass", "set(f()) == {1}", False),
        ("for abs in (): pass", "abs(f() - 1) < 1", False),
        ("(int := float)", "isinstance(f(), int)", False),
        ("not (python", "abs(f() - 1) < 1", False),
        ("#" * 10_000, "abs(f() - 1) < 1", False),
        ("def abs(x): return 0", "f() == 1", True),
    ],
)
def test_a_name_is_pythons_only_where_no_setup_gives_it_another_meaning(
    setup: str, test: str, outside: bool
) -> None:
    asked = AssertTest("t", f"assert {test}")
    for setups in ({setup}, {"import math", setup}):
        at = question(asked, setups).judged_at
        assert at is (JudgedAt.OUTSIDE if outside else JudgedAt.INSIDE)


def test_a_setup_binds_what_any_statement_of_it_binds() -> None:
    for setup in (
        "try: pass\nexcept OSError as abs: pass",
        "match 1:\n    case abs: pass",
        "match 1:\n    case [*abs]: pass",
        "match 1:\n    case {**abs}: pass",
        "del abs",
        "def f(abs): pass",
        "with x as abs: pass",
        "async def abs(): pass",
        "import abs.b",
    ):
        assert not leaves(setup, frozenset({"abs"})), setup
