"""What a test and a program hold as one thing is one for both, as in one process."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from roundsmith.types import AssertTest, ExecuteItem, JudgedAt, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.aliasing import PROGRAM, RIGHT, WRONG
from tests.sandbox.conftest import LIMITS, OF_THE_TESTER

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

pytestmark = OF_THE_TESTER

RIGHTS = RIGHT.strip().split("\n\n")
WRONGS = [tuple(wrong.split("\n---\n")) for wrong in WRONG.strip().split("\n\n")]


def in_one_process(source: str, test: str) -> None:
    found: dict[str, Any] = {"__name__": "solution"}
    exec(source, found)
    exec(test, found)


@pytest.mark.parametrize("test", RIGHTS)
def test_the_table_of_right_programs_is_right_in_one_process(test: str) -> None:
    in_one_process(PROGRAM, test)


@pytest.mark.parametrize(("source", "test"), WRONGS)
def test_the_table_of_wrong_programs_is_wrong_in_one_process(source: str, test: str) -> None:
    with pytest.raises(AssertionError):
        in_one_process(source, test)


def test_what_both_hold_is_one_thing_for_right_programs(box: "Box") -> None:
    tests = tuple(AssertTest(test, f"z = 1\n{test}") for test in RIGHTS)
    # A child each, because they change what is the program's own.
    programs = tuple(Program(test, f"{PROGRAM}# {at}") for at, test in enumerate(RIGHTS))
    pairs = tuple(zip(RIGHTS, RIGHTS, strict=True))
    limits = replace(LIMITS, cpu_s=2.0)
    outcomes = box.matrix(ExecuteItem("i", programs, tests, pairs, limits))
    failed = [(o.test_id, o.verdict, o.detail) for o in outcomes if o.verdict is not Verdict.PASS]
    assert not failed
    assert {o.judge for o in outcomes} == {JudgedAt.INSIDE}


def test_what_both_hold_is_one_thing_for_wrong_programs(box: "Box") -> None:
    programs = tuple(Program(str(at), source) for at, (source, _) in enumerate(WRONGS))
    tests = tuple(AssertTest(str(at), f"z = 1\n{test}") for at, (_, test) in enumerate(WRONGS))
    pairs = tuple((str(at), str(at)) for at in range(len(WRONGS)))
    for outcome in box.matrix(ExecuteItem("i", programs, tests, pairs, LIMITS)):
        ended = outcome.verdict, outcome.judge
        assert ended == (Verdict.FAIL, JudgedAt.INSIDE), (WRONGS[int(outcome.test_id)], outcome)
