"""What a prompt shows is not counted by the strict score."""

from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.benchmarks.asserted import Told, hidden_first, parted, shown_tests
from roundsmith.benchmarks.asserted_classes import parted_classes
from roundsmith.benchmarks.load import load_tasks
from roundsmith.types import AssertTest, CallTest, Split, StdioTest, Task

DATA = Path(__file__).parents[2] / "data"
TASK = Task(
    task_id="t",
    split=Split.FINAL,
    description="Add up. For example add([1,2]) is 3, and add([7]) is 7.",
    head="def add(values):",
    entry_point="add",
    tests=(
        CallTest("call", "add", ([1, 2],), 3),
        CallTest("other", "add", ([1, 2, 3],), 6),
        AssertTest("assert", "assert add([7]) == 7"),
        AssertTest("half", "assert add([7]) == add([6, 1])"),
        AssertTest("none", "assert True"),
    ),
    example=">>> add( [4] )\n4",
)


def test_a_test_is_shown_when_the_prompt_writes_its_calls_out() -> None:
    assert shown_tests(TASK) == {"call", "assert"}
    more = replace(TASK, tests=(AssertTest("example", "assert add([4]) == 4"),))
    assert shown_tests(more) == {"example"}


def test_hidden_tests_run_first_and_keep_their_order() -> None:
    ran = [test.test_id for test in hidden_first(TASK).tests]
    assert ran == ["other", "half", "none", "call", "assert"]


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        (">>> add([1, 2], 'a')", True),
        ('>>> add([1,2],"a")', True),
        (">>> badd([1, 2], 'a')", False),
        (">>> x.add([1, 2], 'a')", False),
        (">>> add([1, 2], 'ab')", False),
    ],
)
def test_white_space_and_quotes_do_not_tell_calls_apart(prompt: str, shown: bool) -> None:
    assert Told(prompt).shows("add", ([1, 2], "a")) is shown


def test_inputs_and_outputs_of_scripts_are_shown_where_both_stand_in_the_text() -> None:
    told = replace(TASK, description="Input: 3\n4 gives 7", tests=())
    seen = (
        StdioTest("a", "3\n4\n", "7\n"),
        StdioTest("b", "3\n4\n", "8\n"),
        StdioTest("c", "", "7"),
    )
    assert shown_tests(replace(told, tests=seen)) == {"a"}


def test_the_asserts_of_a_check_are_parted_and_keep_what_is_beside_them() -> None:
    check = (
        "LIMIT = 2\n"
        "def check(candidate):\n"
        "    base = LIMIT\n"
        "    assert candidate(1) == base\n"
        "    assert candidate(5) == 6, 'five'\n"
    )
    found = dict(parted(check, "next_one", "def next_one(n):\n    '''>>> next_one(1)\n    2'''"))
    assert list(found) == ["check", "shown"]
    assert "candidate(5)" in found["check"]
    assert "candidate(1)" not in found["check"]
    assert "candidate(1)" in found["shown"]
    assert "candidate(5)" not in found["shown"]
    assert all("base = LIMIT" in source and "LIMIT = 2" in source for source in found.values())


def test_a_check_is_left_as_it_is_where_nothing_or_all_is_shown() -> None:
    check = "def check(candidate):\n    # odd\n    assert candidate(1) == 2\n"
    assert dict(parted(check, "f", "nothing")) == {"check": check}
    assert dict(parted(check, "f", "f(1) is 2")) == {"shown": check}


def test_what_the_public_benchmarks_show() -> None:
    humaneval = load_tasks(str(DATA / "HumanEval.jsonl.gz")).tasks
    ids = [tuple(test.test_id for test in task.tests) for task in humaneval]
    counts = {names: ids.count(names) for names in set(ids)}
    assert counts == {("check", "shown"): 110, ("check",): 53, ("shown",): 1}
    mbpp = load_tasks(str(DATA / "sanitized-mbpp.json.gz")).tasks
    assert sum("t0" in shown_tests(task) for task in mbpp) == len(mbpp)


CLASSES = """
import unittest
from unittest.mock import patch

class TestCases(unittest.TestCase):
    def setUp(self):
        self.words = ["b"]
    def test_written(self):
        self.assertEqual(count(["a"], limit=1), {"a": 1})
    def test_named(self):
        words = ["b", "b"]
        found = count(words)
        self.assertEqual(found["b"], 2)
    def test_field(self):
        self.assertEqual(count(self.words), {"b": 1})
    def test_twice(self):
        self.assertEqual(count(["a"], limit=1), count(["c"]))
    def test_changed(self):
        words = ["b", "b"]
        words = words[1:]
        self.assertEqual(count(words), {"b": 1})
    async def test_awaited(self):
        self.assertEqual(count(["z"]), {"z": 1})
    def test_nothing(self):
        self.assertTrue(callable(count))
"""
PROMPT = """
    Example: count(["a"], limit=1)
    >>> words = ["b", "b"]
    >>> count(words)
    {'b': 2}
"""


def test_methods_are_shown_when_each_call_is_written_out_with_literals() -> None:
    found = dict(parted_classes(CLASSES, "count", PROMPT))
    assert list(found) == ["unittest", "shown"]
    hidden = ("test_field", "test_twice", "test_changed", "test_awaited", "test_nothing")
    shown = ("test_written", "test_named")
    assert all(name in found["unittest"] and name not in found["shown"] for name in hidden)
    assert all(name in found["shown"] and name not in found["unittest"] for name in shown)
    assert all("setUp" in source and "patch" in source for source in found.values())


def test_a_name_that_the_prompt_leaves_open_shows_no_call() -> None:
    prompt = ">>> count(words)\n>>> count(['b'] * 2)"
    assert dict(parted_classes(CLASSES, "count", prompt)) == {"unittest": CLASSES}


def test_classes_are_left_as_they_are_where_all_is_shown() -> None:
    source = "class T(unittest.TestCase):\n    def test_a(self):  # odd\n        f(1)\n"
    assert dict(parted_classes(source, "f", ">>> f(1)\n2")) == {"shown": source}
