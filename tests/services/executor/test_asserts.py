"""Which asserts are split into a call and a comparison, and which are not."""

from dataclasses import replace

import pytest

from roundsmith.errors import ConfigError
from roundsmith.executor.asserts import SplitAssert, needs_one_process, split
from roundsmith.executor.matrix import takes_long
from roundsmith.executor.questions import question
from roundsmith.sandbox.codec import CodecError, encode
from roundsmith.types import AssertTest, ExecuteItem, Program, UnittestTest
from roundsmith.verdicts import Verdict


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
    assert split(source) == (parts,)


@pytest.mark.parametrize(
    "source",
    [
        "assert f(x) == 1",
        "assert f(1) == g(1)",
        "assert f(1)[0] == 1",
        "assert f(*[1]) == 1",
        "assert f(**{'x': 1}) == 1",
        "assert a.f(1) == 1",
        "x = 1\nassert f(1) == 1",
        "assert f(1) == 1\nassert g(f(2)) == 2",
        "def check(c):\n    assert c(1) == 1",
        "def check(c):\n    assert c(1) == 1\ncheck(f)\ncheck(f)",
        "def check(c):\n    assert c(1) == 1\ncheck(f())",
        "def check(c, d):\n    assert c(1) == 1\ncheck(f)",
        "def check(c=1):\n    assert c(1) == 1\ncheck(f)",
        "@wrap\ndef check(c):\n    assert c(1) == 1\ncheck(f)",
        "def check(c):\n    assert check(1) == 1\ncheck(f)",
        "def check(c):\n    for x in (1, 2):\n        assert c(x) == 1\ncheck(f)",
        "def check(c):\n    assert c(c) == 1\ncheck(f)",
        "assert f(9 ** 17) == 1",
        "assert f(9 ** -1) == 1",
        "assert f(1 / 0) == 1",
        "assert f('a' * 9) == 1",
        "assert f(2 ** 53 * 2 ** 53) == 1",
        "METADATA = open('/x')\nassert f(1) == 1",
        "assert f(lambda: 1) == 1",
        "assert eval('f(3) == 9')",
        "assert eval('f(3)') == 9",
        "assert __import__('solution')",
        "not python",
        "assert f(1) == " + "(" * 5000 + ")" * 5000,
        "assert f(1) == " + "-" * 50000 + "1",
        "\x00",
        "",
    ],
)
def test_anything_else_is_left_whole(source: str) -> None:
    assert split(source) == ()


ASSERTS = """\
    assert {0}(1) == 2, 'why'
    assert True, 'nothing'
    assert {0}(3 * 1.5) == 'a' + 'b'
"""


def test_asserts_of_one_call_each_are_split_together() -> None:
    whole = (SplitAssert("f", (1,), {}, 2), SplitAssert("f", (4.5,), {}, "ab"))
    assert split("if True:\n" + ASSERTS.format("f")) == ()
    assert split(ASSERTS.format("f").replace("    ", "")) == whole
    head = "METADATA = {'author': 'x'}\ndef check(candidate):\n    'says'\n"
    assert split(f"{head}{ASSERTS.format('candidate')}\ncheck(f)\n") == whole


def test_a_source_that_was_read_before_asks_the_same_for_whoever_asks() -> None:
    sources = ["assert f(1) == 2", "assert f(1) == 2\nassert g([3]) == [4]", "assert a.f(1) == 1"]
    for source in sources:
        first, again = (question(AssertTest(test_id, source)) for test_id in "ab")
        assert (first.kind, first.body) == (again.kind, again.body)
        assert (first.test.test_id, again.test.test_id) == ("a", "b")
    for test_id in "ab":
        with pytest.raises(ConfigError, match=f"test {test_id}: .*nested"):
            question(AssertTest(test_id, f"assert f({'[' * 80}{']' * 80}) == 1"))


@pytest.mark.parametrize(("word", "shared"), [("open", True), ("opened", False)])
def test_a_class_that_is_large_is_read_by_its_words_and_never_parsed(
    word: str, shared: bool
) -> None:
    """What can not be parsed has no words for who parses it."""
    assert not needs_one_process("with open(: pass")
    assert needs_one_process(f"with {word}(: {'x ' * 2**15}") is shared


def test_answers_to_several_calls_pass_as_what_is_expected_of_each_and_never_as_nothing() -> None:
    values = question(AssertTest("t", "assert f(1) == 2\nassert f(2) == [3]")).judge
    truths = question(AssertTest("t", "assert f(1)\nassert not f(2)")).judge
    two, three = encode(2), encode([3])
    assert values(encode([two, three]))[0] is Verdict.PASS
    assert values(encode([encode(2.0), three]))[0] is Verdict.PASS
    assert values(encode([three, two]))[0] is Verdict.FAIL
    assert truths(encode([two, encode([])]))[0] is Verdict.PASS
    assert truths(encode([two, three]))[0] is Verdict.FAIL
    for judge in (values, truths):
        for forged in (b"", encode(None), encode([]), encode([two]), encode([2, [3]])):
            with pytest.raises(CodecError):
                judge(forged)


def test_what_takes_long_to_parse_is_planned_beside_the_event_loop() -> None:
    item = ExecuteItem("i", (Program("c", ""),), (AssertTest("t", "assert f() == 1"),))
    assert not takes_long(item)
    assert takes_long(replace(item, tests=(AssertTest("t", "1," * 2**15),)))
    assert takes_long(replace(item, tests=(UnittestTest("t", "1," * 2**15),)))
