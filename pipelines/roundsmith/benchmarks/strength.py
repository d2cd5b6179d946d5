"""What the tests of tasks notice: references must pass, impostors must not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from roundsmith.benchmarks.scripts import runnable
from roundsmith.benchmarks.verbatim import profile_of
from roundsmith.executor.asserts import split
from roundsmith.executor.impostors import NEAR_MISSES, Impostor, impostor, marker
from roundsmith.types import AssertTest, ExecuteItem, Limits, Outcome, Program, StdioTest, Task
from roundsmith.verdicts import Verdict

REFERENCE = "reference"
_MARKER = "marker of "
_TASKS_AT_ONCE = 16


class Executor(Protocol):
    """What runs matrices."""

    def execute(self, item: ExecuteItem) -> AsyncIterator[Outcome]: ...


@dataclass(frozen=True, slots=True)
class Strength:
    """What the tests of one task said. A program is caught when one of its tests does not pass."""

    task_id: str
    reference: tuple[Outcome, ...]
    """The reference's outcomes, one a test, in the order of the tests."""
    caught: dict[Impostor, bool]
    """Of the impostors that differ from the reference on some test."""
    truth_only: bool
    """Each test asks for nothing but the truth of an answer, which any object has."""

    @property
    def broken(self) -> str:
        """Why the reference does not pass its own tests, empty where it does."""
        return "; ".join(
            f"test {outcome.test_id}: {outcome.verdict} {outcome.detail}".rstrip()
            for outcome in self.reference
            if outcome.verdict is not Verdict.PASS
        )


async def strengths(
    tasks: Sequence[Task],
    executor: Executor,
    limits: Limits,
    done: Callable[[], None] = lambda: None,
) -> list[Strength]:
    """The strength of each task that has a reference, in order; `done` is called after each.

    Impostors are functions: a task of scripts has its reference run alone.
    """
    room = asyncio.Semaphore(_TASKS_AT_ONCE)

    async def one(task: Task) -> Strength:
        async with room:
            reference, *impostors = _programs(task)
            of_reference = ExecuteItem(
                task.task_id, (reference,), task.tests, limits=limits, profile=profile_of(task)
            )
            items = [of_reference]
            if impostors:  # what a first failure tells is enough
                items.append(
                    replace(of_reference, programs=tuple(impostors), stop_row_on_failure=True)
                )
            outcomes = [outcome for item in items async for outcome in executor.execute(item)]
            done()
            return _strength(task, outcomes)

    return await asyncio.gather(*(one(task) for task in tasks if task.reference is not None))


def _programs(task: Task) -> tuple[Program, ...]:
    assert task.reference is not None
    sources = {REFERENCE: runnable(task, task.reference)}
    if not any(isinstance(test, StdioTest) for test in task.tests):
        for kind in Impostor:
            sources[kind] = impostor(kind, task.reference, task.entry_point)
        for kind in (*NEAR_MISSES, Impostor.EQUAL_TYPE):
            sources[_MARKER + kind] = marker(kind, task.reference, task.entry_point)
    return tuple(Program(name, source, task.setup) for name, source in sources.items())


def _strength(task: Task, outcomes: Sequence[Outcome]) -> Strength:
    order = {test.test_id: at for at, test in enumerate(task.tests)}
    by_code: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: order[outcome.test_id]):
        by_code.setdefault(outcome.code_id, []).append(outcome)
    caught = {
        kind: not _passes(by_code[kind])
        for kind in Impostor
        if kind in by_code and not _passes(by_code.get(_MARKER + kind, ()))
    }
    return Strength(task.task_id, tuple(by_code[REFERENCE]), caught, _truth_only(task))


def _passes(outcomes: Sequence[Outcome]) -> bool:
    return bool(outcomes) and all(outcome.verdict is Verdict.PASS for outcome in outcomes)


def _truth_only(task: Task) -> bool:
    asserts = [test for test in task.tests if isinstance(test, AssertTest)]
    parts = [split(test.source) for test in asserts]
    return len(asserts) == len(task.tests) and all(
        found and all(part.truth is not None for part in found) for found in parts
    )
