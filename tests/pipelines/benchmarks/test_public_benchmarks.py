"""MBPP and HumanEval as published: counts, splits, heads, examples, and their own tests."""

import ast
import asyncio
import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from roundsmith.benchmarks.heads import parse
from roundsmith.benchmarks.load import LoadedTasks, load_tasks
from roundsmith.benchmarks.mbpp import example
from roundsmith.errors import ConfigError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.recipes.prompts import code_prompt
from roundsmith.types import AssertTest, ExecuteItem, Limits, Program, Split, Task
from roundsmith.verdicts import Verdict

DATA = Path(__file__).parents[2] / "data"
FILES = ["mbpp.jsonl.gz", "sanitized-mbpp.json.gz", "HumanEval.jsonl.gz"]


@cache
def loaded(file: str) -> LoadedTasks:
    return load_tasks(str(DATA / file))


def task(file: str, task_id: str) -> Task:
    return next(task for task in loaded(file).tasks if task.task_id == task_id)


@pytest.mark.parametrize(
    ("file", "train", "gate", "final"),
    [(FILES[0], 384, 90, 500), (FILES[1], 127, 43, 257), (FILES[2], 0, 0, 164)],
)
def test_every_row_is_read_and_split(file: str, train: int, gate: int, final: int) -> None:
    assert not loaded(file).problems
    seen = Counter(task.split for task in loaded(file).tasks)
    assert (seen[Split.TRAIN], seen[Split.GATE], seen[Split.FINAL]) == (train, gate, final)


@pytest.mark.parametrize(
    ("number", "split"),
    [(1, "train"), (10, "train"), (11, "final"), (510, "final"), (511, "gate"), (600, "gate")],
)
def test_mbpps_ids_say_the_split(number: int, split: str) -> None:
    assert task(FILES[0], f"mbpp/{number}").split == split
    assert task(FILES[0], "mbpp/601").split == task(FILES[0], "mbpp/974").split == "train"


@pytest.mark.parametrize("file", FILES)
def test_the_prompt_leads_into_the_reference(file: str) -> None:
    for each in loaded(file).tasks:
        assert each.reference is not None
        assert each.reference.startswith(f"{each.head}\n")
        body = each.reference.removeprefix(f"{each.head}\n")
        tree = parse(code_prompt(each, each.description) + body, "reference")
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        ours = [node for node in functions if node.name == each.entry_point][-1]
        assert ast.get_docstring(ours), each.task_id
        last = parse(f"{each.head}\n    pass", "head").body[-1]
        assert isinstance(last, ast.FunctionDef)
        assert last.name == each.entry_point, each.task_id


LIMITS = Limits(cpu_s=60)
"""Sums by trial division (mbpp/123) take seconds of a slow core."""


async def verdicts(tasks: tuple[Task, ...], body: str | None = None) -> dict[str, set[Verdict]]:
    """The verdicts by task of the references, or of each head with another body."""

    async def judged(pool: Pool, each: Task) -> set[Verdict]:
        source = each.reference or "" if body is None else f"{each.head}\n{body}"
        program = Program("c", source, each.setup)
        item = ExecuteItem(each.task_id, (program,), each.tests, limits=LIMITS)
        return {outcome.verdict async for outcome in pool.execute(item)}

    async with Pool(ExecutorSettings()) as pool:
        found = await asyncio.gather(*(judged(pool, each) for each in tasks))
    return {each.task_id: verdict for each, verdict in zip(tasks, found, strict=True)}


@pytest.mark.slow
def test_every_reference_of_mbpp_passes_its_own_tests_in_our_executor() -> None:
    """Those of the other files are run beside impostors, in the executor's tests."""
    seen = asyncio.run(verdicts(loaded(FILES[0]).tasks))
    assert len(seen) == len(loaded(FILES[0]).tasks)
    assert {task_id: found for task_id, found in seen.items() if found != {Verdict.PASS}} == {}


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_a_program_that_does_nothing_solves_no_task(file: str) -> None:
    seen = asyncio.run(verdicts(loaded(file).tasks[:20], "    return NotImplemented\n"))
    assert [task_id for task_id, found in seen.items() if found == {Verdict.PASS}] == []


FORGED = {
    32: "    return 0.0\n\npoly = lambda xs, x: 0\nmath.pow = lambda x, y: 0\n",
    38: "    return s\n\nencode_cyclic = lambda s: s\n",
    50: "    return s\n\nencode_shift = lambda s: s\n",
}
"""Programs of HumanEval that change a function which their test compares by, by row."""


@pytest.mark.parametrize("row", FORGED)
def test_a_helper_of_humanevals_prompt_is_the_tests_own(row: int) -> None:
    each = task(FILES[2], f"HumanEval/{row}")
    assert asyncio.run(verdicts((each,))) == {each.task_id: {Verdict.PASS}}
    assert asyncio.run(verdicts((each,), FORGED[row])) == {each.task_id: {Verdict.FAIL}}


def test_only_what_a_test_of_humaneval_calls_is_copied_into_it() -> None:
    given = {t.task_id for t in loaded(FILES[2]).tasks if _defines_more(t)}
    assert given == {f"HumanEval/{row}" for row in FORGED}


def _defines_more(each: Task) -> bool:
    (first, *_) = each.tests
    assert isinstance(first, AssertTest)
    defined = [n for n in ast.parse(first.source).body if isinstance(n, ast.FunctionDef)]
    return [n.name for n in defined] != ["check"]


def test_the_first_assert_becomes_a_solved_call() -> None:
    assert example("assert f([1, 2], 'a') == [2]") == ">>> f([1, 2], 'a')\n[2]"
    assert example("assert set(f(1)) == set((4, 5))") == ">>> set(f(1))\nset((4, 5))"
    assert example("assert f(1)") == ">>> f(1)\nTrue"
    assert example("assert not f('a == b')") == ">>> not f('a == b')\nTrue"
    assert example("assert f(\n  1) == 2") == ">>> f(1)\n2"


def test_mbpps_first_assert_is_shown_and_all_are_judged() -> None:
    found = task(FILES[0], "mbpp/11")
    assert found.example == '>>> remove_Occ("hello","l")\n"heo"'
    assert len(found.tests) == 3
    assert (found.licence, found.source) == ("CC-BY-4.0", "mbpp")
    assert task(FILES[1], "mbpp/11").source == "mbpp-sanitized"


def test_a_helper_above_the_entry_point_moves_below_it() -> None:
    found = task(FILES[0], "mbpp/6")
    assert found.head == "def differ_At_One_Bit_Pos(a,b):"
    assert found.entry_point == "differ_At_One_Bit_Pos"
    assert found.reference is not None
    assert found.reference.index("def differ_At_One") < found.reference.index("def is_Power_Of_Two")


def test_a_class_that_the_tests_use_stays_in_the_head() -> None:
    assert "class Pair" in task(FILES[0], "mbpp/601").head
    tree = task(FILES[0], "mbpp/367")
    assert tree.head.startswith("class Node:")
    assert "def get_height" not in tree.head
    assert isinstance(tree.tests[0], AssertTest)
    assert tree.tests[0].source.startswith("root = Node(1)")
    assert tree.setup == ""


def test_imports_for_sanitized_tests_are_the_setup() -> None:
    setups = {each.setup for each in loaded(FILES[1]).tasks}
    assert "import math\n" in setups


def test_humanevals_prompt_is_taken_apart_and_put_together_again() -> None:
    found = task(FILES[2], "HumanEval/0")
    assert found.head.splitlines()[0] == "from typing import List"
    assert found.description.startswith("Check if in given list of numbers")
    assert ">>>" not in found.description
    assert found.example is not None
    assert found.example.splitlines()[:2] == [
        ">>> has_close_elements([1.0, 2.0, 3.0], 0.5)",
        "False",
    ]
    assert (found.licence, found.split) == ("MIT", Split.FINAL)
    (test,) = found.tests
    assert isinstance(test, AssertTest)
    assert test.source.endswith("check(has_close_elements)")


def test_humanevals_helpers_and_odd_import_are_in_the_head() -> None:
    assert "def poly(xs: list, x: float):" in task(FILES[2], "HumanEval/32").head
    assert task(FILES[2], "HumanEval/115").head == "import math\ndef max_fill(grid, capacity):"


def test_a_bad_row_of_a_benchmark_is_said_too(tmp_path: Path) -> None:
    lines = gzip.decompress((DATA / FILES[0]).read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines[:3]]
    rows[1]["test_list"] = ["assert other(1) == 2"]
    rows[2]["task_id"] = 1000
    path = tmp_path / "mbpp.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(ConfigError) as refused:
        load_tasks(str(path))
    assert "mbpp.jsonl:2: test_list: saw calls of ['other']" in str(refused.value)
    assert "mbpp.jsonl:3: task_id: saw 1000" in str(refused.value)
