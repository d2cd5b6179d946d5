"""Programs run until every verdict is one: what the sandbox failed on is run again, only that.

A verdict that says nothing of the program (INFRA_ERROR, CANCELLED) never leaves here.
"""

from collections.abc import Mapping, Sequence

from roundsmith.benchmarks.verbatim import profile_of
from roundsmith.clients import Services
from roundsmith.errors import SandboxError
from roundsmith.types import ExecuteItem, Limits, Outcome, Program, Task
from roundsmith.verdicts import Verdict

MAX_ATTEMPTS = 10
"""How often a cell is run before it counts as unresolved for good: of cells that fail one time in
five, one in ten million is left."""

Cell = tuple[str, str]
"""Program and test, by their ids."""


async def run_until_resolved(
    services: Services,
    item_id: str,
    programs: Sequence[Program],
    task: Task,
    limits: Limits,
    every_test: bool = False,
) -> tuple[Outcome, ...]:
    """The outcomes of programs on a task's tests, in the order of both; see `Session.verify`."""
    found = await run_cells(services, item_id, programs, task, limits, every_test)
    names = [program.code_id for program in programs]
    if missing := unresolved(found, names, task, every_test):
        raise SandboxError(
            f"task {task.task_id}: expected resolved verdicts after {MAX_ATTEMPTS} attempts, saw "
            f"{len({name for name, _ in missing})} programs without: look at the executor's log, "
            "then run again"
        )
    return tuple(
        found[name, test.test_id]
        for name in names
        for test in task.tests
        if (name, test.test_id) in found
    )


async def run_cells(
    services: Services,
    item_id: str,
    programs: Sequence[Program],
    task: Task,
    limits: Limits,
    every_test: bool = False,
) -> dict[Cell, Outcome]:
    """The resolved outcomes of programs on a task's tests; a cell that the sandbox failed on at
    each of the attempts has none.
    """
    found: dict[Cell, Outcome] = {}
    names = [program.code_id for program in programs]
    for attempt in range(MAX_ATTEMPTS):
        if not (missing := unresolved(found, names, task, every_test)):
            break
        if attempt:
            await services.pause(attempt - 1)
        running = {code_id for code_id, _ in missing}
        item = ExecuteItem(
            f"{item_id}/{attempt}",
            tuple(program for program in programs if program.code_id in running),
            task.tests,
            cells=missing if attempt else (),
            limits=limits,
            stop_row_on_failure=not every_test,
            profile=profile_of(task),
        )
        for outcome in await services.executor.execute(item, fresh=attempt > 0):
            if outcome.verdict.resolved:
                found[outcome.code_id, outcome.test_id] = outcome
    return found


def unresolved(
    found: Mapping[Cell, Outcome], names: Sequence[str], task: Task, every_test: bool = False
) -> tuple[Cell, ...]:
    """The cells that are still to be run, program by program in the order of the tests.

    Without `every_test` a program's row ends with its first test, in their order, that is resolved
    and not PASS, as it does in an executor that stops there: what comes after is not waited for, so
    that an executor that fails now and then leaves the same outcomes as one that does not.
    """
    cells: list[Cell] = []
    for name in names:
        for test in task.tests:
            outcome = found.get((name, test.test_id))
            if outcome is None:
                cells.append((name, test.test_id))
            elif outcome.verdict is not Verdict.PASS and not every_test:
                break
    return tuple(cells)
