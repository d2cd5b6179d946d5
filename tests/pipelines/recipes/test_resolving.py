"""Verdicts that are waited for: faults of the sandbox change nothing and never become a label."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.clients import Services
from roundsmith.errors import SandboxError
from roundsmith.recipes.resolving import MAX_ATTEMPTS, run_cells, run_until_resolved, unresolved
from roundsmith.types import (
    AssertTest,
    ExecuteItem,
    JudgedAt,
    Limits,
    Outcome,
    Program,
    Split,
    Task,
)
from roundsmith.verdicts import Verdict

TESTS = tuple(AssertTest(name, "assert f(1)") for name in ("first", "second", "third"))
TASK = Task("a", Split.GATE, "Do it.", "def f(x):", "f", TESTS)
Truth = dict[tuple[str, str], Verdict]


@dataclass
class Executor:
    """Answers as the executor does, row by row; `broken` says which cells the sandbox fails on."""

    truth: Truth
    broken: Callable[[], bool]
    asked: list[ExecuteItem] = field(default_factory=list)

    async def execute(self, item: ExecuteItem, fresh: bool = False) -> list[Outcome]:
        assert fresh is bool(self.asked), "what was answered before is asked for afresh"
        self.asked.append(item)
        found = []
        for program in item.programs:
            for test in item.tests:
                cell = (program.code_id, test.test_id)
                if item.cells and cell not in item.cells:
                    continue
                broken = self.broken()
                verdict = Verdict.INFRA_ERROR if broken else self.truth[cell]
                found.append(Outcome(*cell, verdict, JudgedAt.OUTSIDE, "T1", ""))
                if item.stop_row_on_failure and self.truth[cell] is not Verdict.PASS:
                    break
        return found


@dataclass
class Parts:
    """Services of which only the executor is asked."""

    executor: Executor

    async def pause(self, attempt: int) -> None:
        assert attempt >= 0


def outcomes(truth: Truth, broken: Callable[[], bool], every_test: bool) -> tuple[Outcome, ...]:
    names = list(dict.fromkeys(code for code, _ in truth))
    services: Any = Parts(Executor(truth, broken))
    programs = [Program(name, "def f(x): ...") for name in names]
    return asyncio.run(
        run_until_resolved(cast(Services, services), "item", programs, TASK, Limits(), every_test)
    )


RESOLVED = [verdict for verdict in Verdict if verdict.resolved]
truths = st.lists(
    st.lists(st.sampled_from(RESOLVED), min_size=3, max_size=3), min_size=1, max_size=4
).map(
    lambda rows: {
        (f"code{i}", test.test_id): verdict
        for i, row in enumerate(rows)
        for test, verdict in zip(TESTS, row, strict=True)
    }
)


@settings(max_examples=40)
@given(truths, st.integers(0, 2**32), st.booleans())
def test_one_fault_in_five_changes_no_outcome(truth: Truth, seed: int, every_test: bool) -> None:
    random = Random(seed)
    budget = [40]  # a sandbox that never works again is another test

    def broken() -> bool:
        budget[0] -= 1
        return budget[0] > 0 and random.random() < 0.2

    try:
        found = outcomes(truth, broken, every_test)
    except SandboxError:
        pytest.fail("faults that end were given up on")
    assert found == outcomes(truth, lambda: False, every_test)
    assert all(outcome.verdict.resolved for outcome in found)


def test_a_sandbox_that_never_works_is_an_error_and_no_outcome() -> None:
    truth = {("code", test.test_id): Verdict.PASS for test in TESTS}
    with pytest.raises(SandboxError, match="saw 1 programs without: look at the executor's log"):
        outcomes(truth, lambda: True, every_test=False)


class FailsOnSecond(Executor):
    """Its sandbox never gets a verdict of the second test."""

    async def execute(self, item: ExecuteItem, fresh: bool = False) -> list[Outcome]:
        found = await super().execute(item, fresh)
        return [
            replace(one, verdict=Verdict.INFRA_ERROR) if one.test_id == "second" else one
            for one in found
        ]


def test_a_sandbox_that_fails_on_one_cell_leaves_the_others_resolved() -> None:
    executor = FailsOnSecond({("code", test.test_id): Verdict.PASS for test in TESTS}, bool)
    services: Any = Parts(executor)
    ran = run_cells(services, "i", [Program("code", "")], TASK, Limits(), every_test=True)
    assert set(asyncio.run(ran)) == {("code", "first"), ("code", "third")}
    assert len(executor.asked) == MAX_ATTEMPTS
    assert all(item.cells == (("code", "second"),) for item in executor.asked[1:])


def test_only_what_failed_is_run_again() -> None:
    truth = {("code", test.test_id): Verdict.PASS for test in TESTS}
    faults = iter([False, True, False])
    executor = Executor(truth, lambda: next(faults, False))
    services: Any = Parts(executor)
    asyncio.run(run_until_resolved(services, "i", [Program("code", "")], TASK, Limits()))
    assert [item.cells for item in executor.asked] == [(), (("code", "second"),)]


@pytest.mark.parametrize(
    ("verdicts", "every_test", "missing"),
    [
        ({}, False, ["first", "second", "third"]),
        ({"first": "PASS"}, False, ["second", "third"]),
        ({"second": "PASS"}, False, ["first", "third"]),
        ({"first": "FAIL"}, False, []),
        ({"second": "TAMPERED"}, False, ["first"]),
        ({"first": "FAIL"}, True, ["second", "third"]),
        ({"first": "PASS", "second": "PASS", "third": "PASS"}, True, []),
    ],
)
def test_a_row_ends_with_its_last_test_or_its_first_failure(
    verdicts: dict[str, str], every_test: bool, missing: list[str]
) -> None:
    found = {
        ("c", n): Outcome("c", n, Verdict(v), JudgedAt.OUTSIDE, "T1", "")
        for n, v in verdicts.items()
    }
    assert unresolved(found, ["c"], TASK, every_test) == tuple(("c", n) for n in missing)
