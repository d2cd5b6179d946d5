"""EvalPlus' two benchmarks, in rows made from MBPP and HumanEval by EvalPlus' recipe."""

import ast
import asyncio
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roundsmith.benchmarks import evalplus_rules
from roundsmith.benchmarks.evalplus import evalplus_task, is_evalplus
from roundsmith.benchmarks.evalplus_inputs import as_called
from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.verbatim import profile_of
from roundsmith.errors import ConfigError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, ExecuteItem, Program, Split, Task
from roundsmith.verdicts import Verdict

DATA = Path(__file__).parents[2] / "data"
Row = dict[str, Any]


def calls(source: str, name: str) -> list[list[Any]]:
    """The literal arguments of the calls of a name in asserts."""
    return [list(arguments) for arguments in _calls(ast.parse(source), name)]


def _calls(tree: ast.AST, name: str) -> Iterator[list[Any]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            try:
                yield [ast.literal_eval(argument) for argument in node.args]
            except ValueError:  # computed by the test: EvalPlus has written these out
                continue


@cache
def mbpp_rows() -> tuple[tuple[Row, tuple[list[Any], ...]], ...]:
    """Rows as MBPP+ has them, beside the inputs as MBPP's own asserts write them."""
    made = []
    for row in json.loads(gzip.decompress((DATA / "sanitized-mbpp.json.gz").read_bytes())):
        name = load_mbpp_entry(row["task_id"])
        inputs = [found for test in row["test_list"] for found in calls(test, name)]
        try:
            written = json.loads(json.dumps(inputs, default=list))
        except TypeError:
            continue
        slow = row["task_id"] == 123  # one input takes 5 s, and is asked four times
        if inputs and not row["test_imports"] and not slow:
            text = f'"""\n{row["prompt"]}\n{row["test_list"][0]}\n"""\n'
            made.append(
                (
                    plus_row(f"Mbpp/{row['task_id']}", text, name, row["code"], written),
                    tuple(inputs),
                )
            )
    return tuple(made)


@cache
def entries() -> dict[str, str]:
    tasks = load_tasks(str(DATA / "sanitized-mbpp.json.gz")).tasks
    return {task.task_id: task.entry_point for task in tasks}


def load_mbpp_entry(number: int) -> str:
    return entries()[f"mbpp/{number}"]


def plus_row(task_id: str, prompt: str, name: str, code: str, inputs: list[Any]) -> Row:
    return {
        "task_id": task_id,
        "prompt": prompt,
        "entry_point": name,
        "canonical_solution": code,
        "base_input": inputs,
        "plus_input": inputs[:1],
        "atol": 0,
        "contract": "",
        "assertion": "",
    }


@cache
def humaneval_rows() -> tuple[Row, ...]:
    lines = gzip.decompress((DATA / "HumanEval.jsonl.gz").read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines]
    made = []
    for row in rows:
        inputs = calls(row["test"], "candidate")
        if inputs:
            made.append(
                plus_row(
                    row["task_id"],
                    row["prompt"],
                    row["entry_point"],
                    row["canonical_solution"],
                    inputs,
                )
            )
    return tuple(made)


def verdicts(tasks: Sequence[Task], programs: Sequence[str]) -> list[set[Verdict]]:
    """The verdicts of a program for each task on the task's tests."""

    async def judged(pool: Pool, task: Task, program: str) -> set[Verdict]:
        item = ExecuteItem(task.task_id, (Program("c", program),), task.tests)
        return {outcome.verdict async for outcome in pool.execute(item)}

    async def all_of_them() -> list[set[Verdict]]:
        async with Pool(ExecutorSettings()) as pool:
            judging = (judged(pool, t, p) for t, p in zip(tasks, programs, strict=True))
            return await asyncio.gather(*judging)

    return asyncio.run(all_of_them())


def references(tasks: Sequence[Task]) -> list[str]:
    return [task.reference or "" for task in tasks]


# MBPP calls these with tuples, sets or keys that EvalPlus' table does not bring back: there they
# are called with what JSON has.
CALLED_OTHERWISE = ["104", "115", "117", "140", "143", "145", "301", "582", "596"]


def test_inputs_that_json_has_made_lists_are_as_mbpp_calls_with_them_again() -> None:
    restored = {
        row["task_id"]: [as_called(row["task_id"], given) for given in row["base_input"]]
        == list(inputs)
        for row, inputs in mbpp_rows()
    }
    changed = {row["task_id"] for row, inputs in mbpp_rows() if row["base_input"] != list(inputs)}
    assert len(changed) > 40
    assert [name for name, same in restored.items() if not same] == [
        f"Mbpp/{number}" for number in CALLED_OTHERWISE
    ]


@pytest.mark.slow
def test_every_reference_passes_and_a_program_that_returns_an_object_fails() -> None:
    rows = [*humaneval_rows(), *(row for row, _ in mbpp_rows())]
    tasks = [evalplus_task(row) for row in rows]
    assert len(tasks) > 500
    judged = zip(tasks, verdicts(tasks, references(tasks)), strict=True)
    assert {t.task_id: v for t, v in judged if v != {Verdict.PASS}} == {}
    nothing = [f"def {task.entry_point}(*args):\n    return object()\n" for task in tasks]
    passed = {
        task.task_id
        for task, seen in zip(tasks, verdicts(tasks, nothing), strict=True)
        if seen & {Verdict.PASS}
    }
    # By EvalPlus' own rules: everything passes 164, whatever is not None the other two.
    assert passed <= {"Mbpp/164", "Mbpp/737", "Mbpp/794"}


def a_task(inputs: list[Any], solution: str = "    return sorted(values)\n", **other: Any) -> Task:
    prompt = 'def order(values):\n    """Sort.\n    >>> order([2, 1])\n    [1, 2]\n    """\n'
    return evalplus_task(plus_row("HumanEval/900", prompt, "order", solution, inputs) | other)


def test_a_row_is_told_by_its_inputs_and_its_tests_say_whose_they_are(tmp_path: Path) -> None:
    row = humaneval_rows()[0]
    assert is_evalplus(row)
    many = a_task([[[n]] for n in range(50)])
    assert [test.test_id for test in many.tests] == ["base-0", "base-20", "base-40", "plus-0"]
    assert many.split is Split.FINAL
    assert (many.description, many.example) == ("Sort.", ">>> order([2, 1])\n[1, 2]")
    file = tmp_path / "plus.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in humaneval_rows()[:3]))
    assert [task.source for task in load_tasks(str(file)).tasks] == ["humaneval-plus"] * 3


def test_a_row_without_inputs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plus.jsonl"
    file.write_text(json.dumps(humaneval_rows()[0] | {"base_input": []}) + "\n")
    with pytest.raises(ConfigError, match=r"plus\.jsonl:1: base_input: saw no inputs"):
        load_tasks(str(file))


def test_arguments_that_a_program_changes_change_nothing_for_the_reference() -> None:
    task = a_task([[[3, 1, 2]], [[]]])
    in_place = "def order(values):\n    values.sort()\n    return values\n"
    clearing = "def order(values):\n    values.clear()\n    return values\n"
    assert verdicts([task, task], [in_place, clearing]) == [
        {Verdict.PASS},
        {Verdict.FAIL},
    ]


@pytest.mark.parametrize(
    ("got", "want", "tolerance", "holds"),
    [
        (1.0 + 1e-7, 1.0, 0, True),
        (1.0 + 1e-5, 1.0, 0, False),
        ([0.1 + 0.2], [0.3], 0, True),
        ((0.1 + 0.2,), [0.3], 0, False),  # a tuple is no list, once a tolerance is asked for
        (True, 1, 0, True),
        ([1, 2], (1, 2), 0, False),
        ([[0.1 + 0.2]], [[0.3]], 0, False),  # nested floats have the row's tolerance only
        ([[0.1 + 0.2]], [[0.3]], 1e-6, True),
        ([1.0], [1.0, 2.0], 0, False),
        (float("nan"), float("nan"), 0, False),
    ],
)
def test_results_are_compared_as_evalplus_does(
    got: object, want: object, tolerance: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = evalplus_rules.source(
        "f", f"def f(x): return {want!r}".replace("nan", "float('nan')"), [[0]], tolerance
    )
    program = SimpleNamespace(f=lambda _: got)
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "solution", program)
    if holds:
        exec(text, {})
    else:
        with pytest.raises(AssertionError):
            exec(text, {})


@pytest.mark.parametrize(
    ("name", "given", "reference", "right", "wrong"),
    [
        ("similar_elements", [(1, 2), (2, 1)], "(1, 2)", (2, 1), (2, 3)),
        ("check_str", ["a"], "True", object(), None),
        ("sum_div", [7], "1", 0, 2),
        ("surface_Area", [3, 4], "33", 35, 34),  # by the slant height, and by the height
        ("digit_distance_nums", [23, 6], "3", 5, 4),  # 2-0 and 3-6; EvalPlus' reference gives 3
        ("find_zero", [[1.0, 2.0]], "7", -0.5, -0.6),  # 1 + 2x
    ],
)
def test_tasks_with_a_rule_of_their_own_are_judged_by_it(
    name: str,
    given: list[Any],
    reference: str,
    right: object,
    wrong: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = evalplus_rules.source(name, f"def {name}(*args): return {reference}", [given], 1e-4)
    program = SimpleNamespace(**{name: lambda *_: right})
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "solution", program)
    exec(text, {})
    setattr(program, name, lambda *_: wrong)
    with pytest.raises(AssertionError):
        exec(text, {})


def test_a_program_that_knows_the_test_process_does_not_find_the_reference() -> None:
    task = a_task([[[2, 1]]])
    seeking = (
        "import gc, sys\n"
        "def order(values):\n"
        "    for each in gc.get_objects():\n"
        "        if isinstance(each, dict) and callable(each.get('reference')):\n"
        "            return each['reference'](values)\n"
        "    return sys._getframe(1).f_globals['reference']['order'](values)\n"
    )
    assert not verdicts([task], [seeking])[0] & {Verdict.PASS}
    assert all(isinstance(test, AssertTest) for test in task.tests)


HUB_ASSERTION = """
import numpy as np

def assertion(out, exp, atol):
    if isinstance(exp, float) and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert out == exp, f"out: {out}, exp: {exp}"
"""
HUB_HUMANEVAL: Row = {
    "task_id": "HumanEval/900",
    "prompt": 'def add(a, b):\n    """Add.\n    >>> add(1, 2)\n    3\n    """\n',
    "canonical_solution": "    return a + b\n",
    "entry_point": "add",
    "test": HUB_ASSERTION
    + """
def check(candidate):
    inputs = [[1, 2], [2, 3]]
    results = [3, 5]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assertion(candidate(*inp), exp, 0)
""",
}
HUB_MBPP: Row = {
    "task_id": 2,
    "code": "def add(a, b):\n    return a + b\n",
    "prompt": "Write a function to add.",
    "source_file": "of the hub",
    "test_imports": [],
    "test_list": ["assert add(1, 2) == 3"],
    "test": HUB_ASSERTION
    + """
inputs = [[1, 2], [2, 3]]
results = [3, 5]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(add(*inp), exp, 0)
""",
}


@pytest.mark.parametrize(
    ("row", "source", "ids"),
    [
        (HUB_HUMANEVAL, "humaneval-plus", ["check"]),
        (HUB_MBPP, "mbpp-plus", ["t0", "plus"]),
    ],
)
def test_the_hubs_rows_are_judged_by_all_inputs_where_numpy_is(
    tmp_path: Path, row: Row, source: str, ids: list[str]
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (task,) = load_tasks(str(tmp_path / "rows.jsonl")).tasks
    assert (task.source, task.split, profile_of(task)) == (source, Split.FINAL, "scientific")
    assert [test.test_id for test in task.tests] == ids
    by_rote = "def add(a, b):\n    return 3\n"
    assert task.reference is not None

    async def judged(program: str) -> list[Verdict]:
        item = ExecuteItem("i", (Program("c", program),), task.tests, profile=profile_of(task))
        async with Pool(ExecutorSettings(slots=1)) as pool:
            if why := pool.capabilities().missing_profiles.get(item.profile):
                pytest.skip(f"{item.profile}: {why}")
            return [outcome.verdict async for outcome in pool.execute(item)]

    assert asyncio.run(judged(task.reference)) == [Verdict.PASS] * len(ids)
    assert asyncio.run(judged(by_rote))[-1] is Verdict.FAIL


def test_a_script_of_mbpp_plus_that_calls_something_else_is_refused(tmp_path: Path) -> None:
    row = HUB_MBPP | {"test": "assert True"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ConfigError, match="test: saw 'assert True', expected a script that calls"):
        load_tasks(str(tmp_path / "rows.jsonl"))
