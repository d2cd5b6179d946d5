"""When a program's outcomes say whether it solves its task."""

import pytest

from roundsmith.recipes.session import is_resolved
from roundsmith.types import AssertTest, JudgedAt, Outcome, Split, Task
from roundsmith.verdicts import Verdict

TESTS = tuple(AssertTest(name, "assert f(1)") for name in ("first", "second"))
TASK = Task("a", Split.GATE, "Do it.", "def f(x):", "f", TESTS)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({}, False),
        ({"first": "PASS"}, False),
        ({"second": "PASS"}, False),
        ({"first": "PASS", "second": "PASS"}, True),
        ({"first": "FAIL"}, True),
        ({"first": "PASS", "second": "TAMPERED"}, True),
        ({"first": "PASS", "second": "INFRA_ERROR"}, False),
        ({"first": "FAIL", "second": "CANCELLED"}, False),
    ],
)
def test_a_row_is_resolved_when_it_is_whole_or_has_failed(
    verdicts: dict[str, str], expected: bool
) -> None:
    row = [Outcome("c", n, Verdict(v), JudgedAt.OUTSIDE, "T1", "") for n, v in verdicts.items()]
    assert is_resolved(row, TASK) is expected
