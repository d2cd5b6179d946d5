"""LiveCodeBench, APPS and BigCodeBench: rows of our own writing in the published formats, judged by
the executor.
"""

import ast
import asyncio
import base64
import json
import os
import pickle
import sys
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types
import pytest

from roundsmith.benchmarks.asserted import shown_tests
from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.scripts import runnable
from roundsmith.errors import ConfigError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.recipes.prompts import code_prompt
from roundsmith.types import ExecuteItem, Outcome, Program, Split, Task
from roundsmith.verdicts import Verdict

Row = dict[str, Any]


def packed(cases: list[Row]) -> str:
    """Tests as the `lite` releases write them."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()


def case(given: str, wanted: str, kind: str) -> Row:
    return {"input": given, "output": wanted, "testtype": kind}


LCB_SCRIPT: Row = {
    "question_title": "A. Halves",
    "question_content": "Print half of each number.",
    "platform": "atcoder",
    "question_id": "abc999_a",
    "contest_id": "abc999",
    "contest_date": "2024-01-06T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps([case("3 1\n", "1.5 0.50\n", "stdin")]),
    "private_test_cases": packed([case("4\n", "2\n", "stdin")]),
    "metadata": "{}",
}
LCB_METHOD: Row = LCB_SCRIPT | {
    "question_content": "Return the pair in order.",
    "question_id": "3000",
    "platform": "leetcode",
    "starter_code": "class Solution:\n    def order(self, a: int, b: int) -> List[int]:\n        ",
    "public_test_cases": json.dumps([case("2\n1", "[1, 2]", "functional")]),
    "private_test_cases": json.dumps([case("1\n1", "[1, 1]", "functional")]),
    "metadata": json.dumps({"func_name": "order"}),
}
APPS_SCRIPT: Row = {
    "problem_id": 7,
    "question": "Print the mean.",
    "solutions": json.dumps(["n = input().split()\nprint(sum(map(int, n)) / len(n))\n"]),
    "input_output": json.dumps({"inputs": ["1 2\n", ["3", "4"]], "outputs": ["1.5\n", "3.5\n"]}),
    "difficulty": "introductory",
    "url": "",
    "starter_code": "",
}
APPS_CALL: Row = APPS_SCRIPT | {
    "problem_id": 8,
    "question": "Reverse a list.",
    "input_output": json.dumps(
        {"fn_name": "back", "inputs": [[[1, 2]], [["a"]]], "outputs": [[2, 1], [["a"]]]}
    ),
    "starter_code": "def back(values):\n\t",
}
BIGCODE: Row = {
    "task_id": "BigCodeBench/9000",
    "complete_prompt": (
        "import collections\n\ndef task_func(words):\n"
        '    """Count the words.\n\n    >>> task_func(["a"])\n    {\'a\': 1}\n    """\n'
    ),
    "instruct_prompt": "Count the words.",
    "canonical_solution": "    return dict(collections.Counter(words))\n",
    "code_prompt": "import collections\n\ndef task_func(words):\n",
    "test": (
        "import unittest\nclass TestCases(unittest.TestCase):\n"
        "    def test_one(self):\n        self.assertEqual(task_func(['b', 'b']), {'b': 2})\n"
        "    def test_none(self):\n        self.assertEqual(task_func([]), {})\n"
        "    def test_shown(self):\n        self.assertEqual(task_func(['a']), {'a': 1})\n"
    ),
    "entry_point": "task_func",
    "doc_struct": "{}",
    "libs": "['collections']",
}


DEEP = """
import functools, sys, threading
sys.setrecursionlimit(10 ** 7)
threading.stack_size({stack})
{decorator}
def depth(left):
    return 1 + depth(left - 1) if left else 0
def main():
    print(depth(int(input())) / 2)
{start}
"""
NEEDS_STACK = sys.version_info < (3, 12)
"""Later ones bound calls from C by a number, and others use no stack of C."""
DECORATOR = "@functools.cache" if NEEDS_STACK else ""
LIMIT = Verdict.PROCESS_LIMIT
STARTS = (
    "threading.Thread(target=main).start()",
    "thread = threading.Thread(target=main)\nthread.start()\nthread.join()",
    "if __name__ == '__main__':\n    threading.Thread(target=main).start()",
)


def loaded(tmp_path: Path, *rows: Row) -> tuple[Task, ...]:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_tasks(str(file)).tasks


def outcomes(task: Task, program: str) -> list[Outcome]:
    """What becomes of a program on a task's tests, as a round runs it."""

    async def all_of_them() -> list[Outcome]:
        async with Pool(ExecutorSettings(slots=1)) as pool:
            programs = (Program("c", runnable(task, program), task.setup),)
            item = ExecuteItem(task.task_id, programs, task.tests)
            return [outcome async for outcome in pool.execute(item)]

    return asyncio.run(all_of_them())


def passes(task: Task, program: str) -> bool:
    return {outcome.verdict for outcome in outcomes(task, program)} == {Verdict.PASS}


def test_scripts_of_livecodebench_are_compared_by_words_and_numbers_by_value(
    tmp_path: Path,
) -> None:
    (task,) = loaded(tmp_path, LCB_SCRIPT)
    assert (task.task_id, task.split, task.source) == ("abc999_a", Split.FINAL, "livecodebench")
    assert [test.test_id for test in task.tests] == ["public-0", "private-0"]
    assert task.meta["difficulty"] == "easy"
    halves = "def main() -> None:\n    print(*(int(n) / 2 for n in input().split()))\n"
    assert passes(task, halves)
    assert passes(task, halves.removeprefix("def main() -> None:\n").lstrip())
    assert not passes(task, halves.replace("/ 2", "// 2"))


def scripts(tmp_path: Path, given: str, wanted: str) -> list[Task]:
    """A task of each benchmark of scripts, with one test."""
    cases = {
        "public_test_cases": json.dumps([case(given, wanted, "stdin")]),
        "private_test_cases": "[]",
    }
    tests = {"input_output": json.dumps({"inputs": [given], "outputs": [wanted]})}
    rows = (LCB_SCRIPT | cases, APPS_SCRIPT | tests)
    return [task for row in rows for task in loaded(tmp_path, row)]


@pytest.mark.parametrize("start", STARTS)
def test_a_script_may_recurse_deeply_in_a_thread_with_a_stack_of_its_own(
    tmp_path: Path, start: str
) -> None:
    deep = DEEP.format(stack="2 ** 27", start=start, decorator=DECORATOR)
    for task in scripts(tmp_path, "100000\n", "50000.0\n"):
        assert passes(task, deep), outcomes(task, deep)
        assert passes(task, deep.replace("2 ** 27", "2 ** 25")) is not NEEDS_STACK


@pytest.mark.parametrize("stack", ["2 ** 28", "2 ** 29 - 4096", "2 ** 29"])
def test_a_thread_of_a_script_may_have_a_stack_as_large_as_the_usual_memory(
    tmp_path: Path, stack: str
) -> None:
    deep = DEEP.format(stack=stack, start=STARTS[0], decorator=DECORATOR)
    for task in scripts(tmp_path, "100000\n", "50000.0\n"):
        assert passes(task, deep), outcomes(task, deep)


@pytest.mark.parametrize(
    ("bomb", "verdicts"),
    [
        ("while True: threading.Thread(target=time.sleep, args=(60,)).start()", {LIMIT}),
        ("while True:\n    if not os.fork(): time.sleep(60)", {LIMIT}),
        # Parent and child both answer.
        ("while True: os.fork()", {LIMIT, Verdict.TAMPERED}),
    ],
)
def test_a_script_that_starts_ever_more_ends_at_the_process_limit(
    tmp_path: Path, bomb: str, verdicts: set[Verdict]
) -> None:
    for task in scripts(tmp_path, "1\n", "1\n"):
        (outcome,) = outcomes(task, f"import os, threading, time\n{bomb}\n")
        assert outcome.verdict in verdicts


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ("        return sorted([a, b])\n", True),
        ("        return tuple(sorted([a, b]))\n", True),  # JSON has no tuple
        ("        return [a, a]\n", False),
        ("        return object()\n", False),
    ],
)
def test_methods_of_livecodebench_are_called_with_the_lines_of_their_input(
    tmp_path: Path, body: str, right: bool
) -> None:
    (task,) = loaded(tmp_path, LCB_METHOD)
    assert task.entry_point == "order"
    assert passes(task, f"{code_prompt(task, task.description)}{body}") is right


def test_a_line_of_input_may_hold_what_only_python_takes_for_its_end(tmp_path: Path) -> None:
    public = json.dumps([case('"a\u2028b"\n\n2\n', "[3, 2]", "functional")])
    hidden = json.dumps([])
    row = LCB_METHOD | {"public_test_cases": public, "private_test_cases": hidden}
    (task,) = loaded(tmp_path, row)
    body = "        return [len(a), b]\n"
    assert passes(task, f"{code_prompt(task, task.description)}{body}")


def test_programs_have_what_their_benchmarks_runner_imports_for_them(tmp_path: Path) -> None:
    (method,) = loaded(tmp_path, LCB_METHOD)
    body = "        return nsmallest(2, [a, b]) if gcd(a, b) else list(accumulate([a, b]))"
    assert passes(method, f"{code_prompt(method, method.description)}{body}\n")
    starter = "class Solution:\n    def back(self, values: List[int]) -> List[int]:\n        "
    (apps,) = loaded(tmp_path, APPS_CALL | {"starter_code": starter})
    body = "        return list(deque(reversed(values)))"
    assert passes(apps, f"{code_prompt(apps, apps.description)}{body}\n")
    for script in scripts(tmp_path, "4\n", "2.0\n"):
        assert passes(script, "def main() -> None:\n    print(sqrt(int(input())))\n")


def test_a_function_may_be_named_as_what_the_runner_imports(tmp_path: Path) -> None:
    said = {"fn_name": "combinations", "inputs": [[1, 2]], "outputs": [3]}
    row = APPS_CALL | {"input_output": json.dumps(said), "starter_code": ""}
    (task,) = loaded(tmp_path, row)
    assert passes(task, "def combinations(a, b):\n    return a + b\n")
    assert not passes(task, "def combinations(a, b):\n    return a - b\n")


def test_the_hubs_parquet_has_a_time_for_the_date_of_a_contest(tmp_path: Path) -> None:
    row = LCB_SCRIPT | {"contest_date": datetime(2024, 1, 6)}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    (task,) = load_tasks(str(tmp_path / "rows.parquet")).tasks
    assert task.meta["date"] == LCB_SCRIPT["contest_date"]


def test_the_prompt_of_a_method_keeps_its_indentation(tmp_path: Path) -> None:
    (task,) = loaded(tmp_path, LCB_METHOD)
    tree = ast.parse(f"{code_prompt(task, task.description)}        return [a, b]\n")
    (method,) = tree.body[0].body  # type: ignore[attr-defined]  # a class has a body
    assert (ast.get_docstring(method) or "").strip() == "Return the pair in order."


def test_a_packed_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    text = base64.b64encode(zlib.compress(pickle.dumps(Hostile()))).decode()
    with pytest.raises(ConfigError, match=r"private_test_cases: saw .*names posix\.mkdir"):
        loaded(tmp_path, LCB_SCRIPT | {"private_test_cases": text})
    assert not (tmp_path / "ran").exists()


def test_scripts_of_apps_may_differ_as_numpys_allclose_allows(tmp_path: Path) -> None:
    (task,) = loaded(tmp_path, APPS_SCRIPT)
    assert (task.task_id, task.source, task.reference) == ("apps/7", "apps", None)
    mean = (
        "import sys\nn = list(map(int, sys.stdin.read().split()))\n"
        "print(sum(n) / len(n) * (1 + 1e-7))\n"
    )
    assert passes(task, mean)
    assert not passes(task, mean.replace("1e-7", "1e-3"))


def test_functions_of_apps_may_be_methods_and_answer_in_a_list_of_one(tmp_path: Path) -> None:
    (task,) = loaded(tmp_path, APPS_CALL)
    assert (task.head, task.entry_point) == ("def back(values):", "back")
    assert passes(task, "def back(values):\n    return values[::-1]\n")
    assert passes(
        task, "class Solution:\n    def back(self, values):\n        return values[::-1]\n"
    )
    assert not passes(task, "def back(values):\n    return values\n")


def test_keys_of_apps_are_whole_numbers_and_its_tuples_lists_at_any_depth(tmp_path: Path) -> None:
    said = {
        "fn_name": "back",
        "inputs": [[{"1": 5, "2": 6}], [{"a": 7}]],
        "outputs": [[{"5": 1, "6": 2}], [{"7": "a"}]],
    }
    row = APPS_CALL | {"input_output": json.dumps(said)}
    (task,) = loaded(tmp_path, row)
    assert passes(task, "def back(values):\n    return {values[k]: k for k in values}\n")
    assert not passes(task, "def back(values):\n    return {str(values[k]): k for k in values}\n")
    pairs = {"fn_name": "back", "inputs": [[[1, 2]]], "outputs": [[[[1, 1], [2, 2]]]]}
    (task,) = loaded(tmp_path, row | {"input_output": json.dumps(pairs)})
    assert passes(task, "def back(values):\n    return [(v, v) for v in values]\n")
    assert not passes(task, "def back(values):\n    return [(v, -v) for v in values]\n")


def test_the_hubs_files_of_apps_call_a_problems_number_id(tmp_path: Path) -> None:
    row = {**APPS_SCRIPT, "id": 7}
    del row["problem_id"]
    (task,) = loaded(tmp_path, row)
    assert task.task_id == "apps/7"


def test_classes_of_bigcodebench_judge_every_method(tmp_path: Path) -> None:
    (task,) = loaded(tmp_path, BIGCODE)
    assert task.head == "import collections\ndef task_func(words):"
    assert (task.description, task.example) == (
        "Count the words.",
        ">>> task_func([\"a\"])\n{'a': 1}",
    )
    assert passes(task, task.reference or "")
    always = "def task_func(words):\n    return {'b': 2}\n"
    assert not passes(task, always)
    patching = (
        "import unittest\nunittest.TestCase.assertEqual = lambda *_: None\n"
        "def task_func(words):\n    return None\n"
    )
    assert not passes(task, patching)


def test_bigcodebenchs_methods_that_the_prompt_shows_are_judged_apart(tmp_path: Path) -> None:
    (task,) = loaded(tmp_path, BIGCODE)
    by_rote = "def task_func(words):\n    return {'a': 1}\n"
    seen = {each.test_id: each.verdict for each in outcomes(task, by_rote)}
    assert seen == {"unittest": Verdict.FAIL, "shown": Verdict.PASS}
    assert shown_tests(task) == {"shown"}


@pytest.mark.parametrize(
    ("row", "change", "said"),
    [
        (LCB_SCRIPT, {"public_test_cases": "["}, r"public_test_cases: saw '\['"),
        (LCB_SCRIPT, {"private_test_cases": "%%%"}, "expected JSON, or a packed JSON text"),
        (
            LCB_METHOD,
            {"starter_code": "x = 1"},
            "starter_code: saw .* expected code that ends with a def line",
        ),
        (APPS_SCRIPT, {"input_output": ""}, "input_output: saw no tests"),
        (
            APPS_SCRIPT,
            {"input_output": json.dumps({"inputs": ["1"], "outputs": []})},
            "saw 1 inputs and 0 outputs, expected as many of both",
        ),
        (LCB_METHOD, {"metadata": "[]"}, r"metadata: saw \[\], expected a JSON object"),
        (LCB_METHOD, {"metadata": '{"func_name": 5}'}, "metadata.func_name: saw 5, expected the"),
        (
            APPS_SCRIPT,
            {"input_output": json.dumps({"inputs": [1], "outputs": [1], "fn_name": "no name"})},
            "input_output.fn_name: saw 'no name', expected the name of a function",
        ),
        (BIGCODE, {"test": "assert task_func([])"}, "expected a unittest.TestCase"),
        (BIGCODE, {"entry_point": "other"}, "expected a top-level function 'other'"),
    ],
)
def test_a_row_that_can_not_be_judged_is_refused_by_name(
    tmp_path: Path, row: Row, change: Row, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, row | change)
