"""Every reference of the benchmarks passes its own tests, and programs that are almost right do
not: what the tests of a benchmark let through all the same is listed with the reason.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.strength import REFERENCE, Strength, strengths
from roundsmith.executor.asserts import split
from roundsmith.executor.impostors import Impostor, impostor
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Limits, Program, Task
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict

DATA = Path(__file__).parents[2] / "data"
# An amicable-number sum by trial division takes seconds of CPU time on a slow machine.
LIMITS = Limits(cpu_s=20)
CONVERTED = "its asserts convert the answer themselves: tuple(...) or set(...)"
LOOSE = "its asserts allow a thousandth of the value: math.isclose(..., rel_tol=0.001)"
LET_THROUGH = {
    ("HumanEval", Impostor.WRONG_TYPE): {33: CONVERTED, 37: CONVERTED},
    ("mbpp", Impostor.WRONG_TYPE): dict.fromkeys((2, 7, 111, 140, 232), CONVERTED),
    ("mbpp", Impostor.REORDERED): dict.fromkeys((2, 7, 111, 140, 232), CONVERTED),
    ("mbpp", Impostor.OFF_BY_ONE): dict.fromkeys((82, 85), LOOSE),
}
"""By benchmark and impostor, the rows whose tests do not notice it, and why."""


def audited(file: str) -> list[Strength]:
    async def run() -> list[Strength]:
        async with Pool(ExecutorSettings(slots=2)) as pool:
            return await strengths(load_tasks(str(DATA / file)).tasks, pool, LIMITS)

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "tasks"),
    [("HumanEval.jsonl.gz", "HumanEval", 164), ("sanitized-mbpp.json.gz", "mbpp", 427)],
)
def test_references_pass_and_impostors_do_not(
    file: str, name: str, tasks: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = audited(file)
    assert len(found) == tasks
    assert {s.task_id: s.broken for s in found if s.broken} == {}
    with capsys.disabled():
        print()
        for kind in Impostor:
            caught = [s.caught[kind] for s in found if kind in s.caught]
            print(f"{name}: {kind}: {sum(caught)} of {len(caught)} caught")
    for kind in (Impostor.SENTINEL, Impostor.WRONG_TYPE):
        assert all(kind in s.caught for s in found)
    for kind in (k for k in Impostor if k is not Impostor.EQUAL_TYPE):
        missed = {s.task_id for s in found if s.caught.get(kind) is False}
        assert missed == {f"{name}/{row}" for row in LET_THROUGH.get((name, kind), {})}


def as_call(test: AnyTest) -> CallTest | None:
    """The same test with the expectation compared by type as well, where it can be split."""
    found = split(test.source) if isinstance(test, AssertTest) else ()
    if len(found) != 1 or found[0].truth is not None or found[0].condition:
        return None
    (parts,) = found
    return CallTest(test.test_id, parts.entry_point, parts.args, parts.expected, parts.kwargs)


def _has_a_twin(expected: object) -> bool:
    """A larger int is no float of the same value."""
    return type(expected) is bool or (type(expected) is int and abs(expected) < 2**53)


async def _twins(tasks: tuple[Task, ...]) -> list[dict[tuple[str, str], Verdict]]:
    """By program and test of each task, how the reference and its twin ended."""
    async with Pool(ExecutorSettings(slots=2)) as pool:

        async def one(task: Task) -> dict[tuple[str, str], Verdict]:
            tests = tuple(call for test in task.tests if (call := as_call(test)))
            assert task.reference is not None
            twin = impostor(Impostor.EQUAL_TYPE, task.reference, task.entry_point)
            programs = (
                Program(REFERENCE, task.reference, task.setup),
                Program("twin", twin, task.setup),
            )
            item = ExecuteItem(task.task_id, programs, tests, limits=LIMITS)
            return {(o.code_id, o.test_id): o.verdict async for o in pool.execute(item)}

        return await asyncio.gather(*map(one, tasks))


@pytest.mark.slow
def test_a_type_that_equals_by_pythons_equality_passes_asserts_and_fails_call_tests() -> None:
    """Python says 1 == True == 1.0, so asserts can not tell them apart; a call test does."""
    numbers = [
        task
        for task in load_tasks(str(DATA / "sanitized-mbpp.json.gz")).tasks
        if (calls := [as_call(test) for test in task.tests])
        and all(call is not None and _has_a_twin(call.expected) for call in calls)
    ]
    twins = [
        found["twin", test_id]
        for found in asyncio.run(_twins(tuple(numbers)))
        for (code_id, test_id), verdict in found.items()
        # Some references give a float where their own assert says an int.
        if code_id == REFERENCE and verdict is Verdict.PASS
    ]
    assert len(twins) > 500
    assert set(twins) == {Verdict.FAIL}


def test_an_audit_tells_a_broken_reference_and_weak_tests() -> None:
    task = replace(load_tasks(str(DATA / "sanitized-mbpp.json.gz")).tasks[0])
    weak = replace(
        task,
        task_id="weak",
        entry_point="f",
        reference="def f(x):\n    return [x]\n",
        tests=(AssertTest("0", "assert f(1)"),),
    )
    broken = replace(weak, task_id="broken", reference="def f(x):\n    return []\n")

    async def run() -> list[Strength]:
        async with Pool(ExecutorSettings(slots=1)) as pool:
            return await strengths((weak, broken), pool, Limits())

    of_weak, of_broken = asyncio.run(run())
    assert of_weak.broken == ""
    assert of_weak.truth_only
    assert of_weak.caught == {
        Impostor.SENTINEL: False,
        Impostor.WRONG_TYPE: False,
        Impostor.EQUAL_TYPE: False,
        Impostor.OFF_BY_ONE: True,
    }
    assert of_broken.broken.startswith("test 0: FAIL")
