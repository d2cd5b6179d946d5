"""Which asserts are split into a call and a comparison, and which are not."""

import pytest

from roundsmith.executor.asserts import SplitAssert, split


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("assert f(1, 'a') == [2]", SplitAssert("f", (1, "a"), {}, [2])),
        ("assert f(x=-1) == None", SplitAssert("f", (), {"x": -1}, None)),
        ("assert (2, 3) == f({1: 2})", SplitAssert("f", ({1: 2},), {}, (2, 3))),
        ("assert f(1j) == 2 + 3j, 'why'", SplitAssert("f", (1j,), {}, 2 + 3j)),
        ("assert f()", SplitAssert("f", (), {}, None, True)),
        ("assert not f()", SplitAssert("f", (), {}, None, False)),
    ],
)
def test_one_call_of_literals_against_a_literal_is_split(source: str, parts: SplitAssert) -> None:
    assert split(source) == parts


@pytest.mark.parametrize(
    "source",
    [
        "assert f(x) == 1",
        "assert f(1) != 1",
        "assert f(1) is True",
        "assert f(1) == g(1)",
        "assert f(1)[0] == 1",
        "assert abs(f(1) - 2) < 1",
        "assert f(*[1]) == 1",
        "assert f(**{'x': 1}) == 1",
        "assert a.f(1) == 1",
        "assert f(1) == 1 == 1",
        "x = 1\nassert f(1) == 1",
        "assert f(1) == 1\nassert f(2) == 2",
        "assert f(lambda: 1) == 1",
        "not python",
        "assert f(1) == " + "(" * 5000 + ")" * 5000,
        "assert f(1) == " + "-" * 50000 + "1",
        "\x00",
        "",
    ],
)
def test_anything_else_is_left_whole(source: str) -> None:
    assert split(source) is None
