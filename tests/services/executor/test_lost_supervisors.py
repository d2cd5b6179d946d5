"""Supervisors that are lost or do not start: what was found is run again, and what can not be run
is INFRA_ERROR, never a verdict of the program.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from roundsmith.errors import SandboxError
from roundsmith.executor.jobs import Job, Patience
from roundsmith.executor.matrix import plan
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.slots import SlotState
from roundsmith.executor.supervisor import Bystander, NotStarted, SupervisorLost
from roundsmith.executor.tally import Tally
from roundsmith.executor.turns import Turns
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program
from roundsmith.verdicts import Label, Verdict
from tests.services.executor.test_local_pool import Cells, cells, outcomes

T = TypeVar("T")
PATIENCE_S = 60.0
TEST = CallTest("t", "f", (), 1)
RIGHT = Program("right", "def f():\n    return 1\n")
SLEEPS = Program("sleeps", "import time\ndef f():\n    time.sleep(60)\n")


def run(work: Callable[[Pool], Awaitable[T]], **settings: object) -> T:
    async def main() -> T:
        async with Pool(ExecutorSettings.model_validate(settings)) as pool:
            return await work(pool)

    return asyncio.run(main())


def test_supervisors_killed_in_the_middle_lose_and_double_no_cell() -> None:
    slow = tuple(
        Program(
            f"c{at}", f"import time\ndef f(x):\n    time.sleep(0.01)\n    return x + {at % 2}\n"
        )
        for at in range(30)
    )
    tests = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(4))
    # Without a cache, so that programs that are the same are all run.
    item = ExecuteItem("i", slow, tests, no_cache=True)

    async def disturbed(pool: Pool) -> Cells:
        task = asyncio.create_task(outcomes(pool, item))
        for _ in range(2):
            await asyncio.sleep(0.3)
            kill_each(pool.supervisor_pids()[:1])
        return cells(await task)

    assert run(disturbed, slots=2) == run(lambda pool: outcomes_cells(pool, item), slots=2)


async def outcomes_cells(pool: Pool, item: ExecuteItem) -> Cells:
    return cells(await outcomes(pool, item))


def test_a_sandbox_that_always_dies_gives_infra_errors_and_no_label() -> None:
    async def doomed(pool: Pool) -> list[Outcome]:
        task = asyncio.create_task(outcomes(pool, ExecuteItem("i", (SLEEPS,), (TEST,))))
        while not task.done():
            await asyncio.sleep(0.1)
            kill_each(pool.supervisor_pids())
        return await task

    (outcome,) = run(doomed, slots=1, attempts=2)
    assert (outcome.verdict, outcome.label) == (Verdict.INFRA_ERROR, Label.NONE)


def kill_each(pids: list[int]) -> None:
    """Kills supervisors; one that died is told for a moment."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def kill_in_run(pool: Pool, number: int) -> None:
    """Kills the supervisor of the only slot once so many runs have begun."""
    while pool.tally.runs["row"] < number:
        await asyncio.sleep(0.01)
    (pid,) = pool.supervisor_pids()
    os.kill(pid, signal.SIGKILL)


def kill_idle(pool: Pool) -> None:
    """Kills the supervisor of the only slot, and waits until it is gone."""
    (pid,) = pool.supervisor_pids()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_what_was_found_before_is_not_to_blame_for_a_supervisor_that_is_lost_in_a_later_run() -> (
    None
):
    item = ExecuteItem("i", (RIGHT, SLEEPS), (TEST,))

    async def lost(pool: Pool) -> list[Outcome]:
        task = asyncio.create_task(outcomes(pool, item))
        await kill_in_run(pool, 2)
        return await task

    found = run(lost, slots=1, attempts=1, canary_s=600)
    assert {o.code_id: o.verdict for o in found} == {
        "right": Verdict.PASS,
        "sleeps": Verdict.INFRA_ERROR,
    }


def test_a_supervisor_that_does_not_start_for_a_while_costs_no_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def homeless(pool: Pool) -> list[Outcome]:
        kill_idle(pool)
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # there is no room for another
        task = asyncio.create_task(outcomes(pool, ExecuteItem("i", (RIGHT,), (TEST,))))
        while pool.tally.retries["sandbox"] < 2:
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        return await task

    (outcome,) = run(homeless, slots=1, attempts=1, highest="T1")
    assert outcome.verdict is Verdict.PASS


def test_a_supervisor_that_has_had_its_runs_is_replaced_between_two() -> None:
    async def worn(pool: Pool) -> set[int]:
        seen = {*pool.supervisor_pids()}
        for serial in range(6):
            again = Program("right", f"{RIGHT.source}# {serial}")
            (outcome,) = await outcomes(pool, ExecuteItem("i", (again,), (TEST,)))
            assert outcome.verdict is Verdict.PASS
            seen |= {*pool.supervisor_pids()}
        assert not pool.tally.retries, "nothing of it was run again"
        return seen

    # Its canaries are runs, too: two at the start, and one after each program.
    assert 2 <= len(run(worn, slots=1, recycle_runs=5)) <= 4
    assert len(run(worn, slots=1)) == 1


def test_where_no_supervisor_starts_any_more_cells_are_infra_errors_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = tuple(Program(f"c{at}", f"{RIGHT.source}# {at}\n") for at in range(9))
    item = ExecuteItem("i", programs, (TEST,))

    async def homeless(pool: Pool) -> list[Outcome]:
        kill_idle(pool)
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        return await outcomes(pool, item)

    found = run(homeless, slots=1, highest="T1", attach_s=0.1)
    assert len(found) == 9
    for outcome in found:
        assert (outcome.verdict, outcome.label) == (Verdict.INFRA_ERROR, Label.NONE)
        assert "a supervisor could not be started" in outcome.detail
        assert "/nowhere" in outcome.detail


def a_job() -> Job:
    tests = tuple(CallTest(f"t{at}", "f", (at,), at) for at in range(6))
    (row,) = plan(ExecuteItem("i", (RIGHT,), tests), ExecutorSettings()).rows
    return Job(row, list(row.columns))


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(SupervisorLost, [2, 3]), (SandboxError, [2, 3]), (Bystander, [1] * 9), (NotStarted, [1] * 9)],
)
def test_an_attempt_is_what_was_run_and_is_to_blame(
    error: type[SandboxError], attempts: list[int]
) -> None:
    job: Job | None = a_job()
    patience, seen = Patience(attempts=3, start_s=60, tally=Tally()), list[int]()
    while job is not None and len(seen) < 9:
        job = patience.again(job, job.columns, error(""))
        seen += [job.attempt] if job else []
    assert seen == attempts


def test_cells_that_come_back_apart_are_run_again_in_the_order_of_their_row() -> None:
    job = a_job()
    first, second, third = job.columns[:2], job.columns[2:4], job.columns[4:]
    again = Job(job.row, third)
    again.join(first)
    again.join(second)
    assert again.columns == list(job.row.columns)


def test_what_this_machine_does_not_start_is_tried_for_less_long_than_a_pod() -> None:
    pods = ExecutorSettings(pool="pods", sandboxes="sandboxes:1")
    assert ExecutorSettings().start_s < pods.start_s / 10


class Unsettled(SlotState):
    """A slot that owes a canary, which fails."""

    times = 0

    def __init__(self) -> None:
        """It has no supervisor: nothing but its canary is asked for."""

    @property
    def owes(self) -> bool:
        return not self.times

    @property
    def pause_s(self) -> float:
        return 0.0

    async def settle(self, contended: bool) -> None:
        self.times += 1
        raise OSError("no room")


def test_a_slot_whose_canary_fails_by_itself_is_had_again_in_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> int:
        turns, slot = Turns(Tally()), Unsettled()
        turns.add([slot])
        async with asyncio.timeout(PATIENCE_S):
            assert await turns.take(turns.begin("caller")) is slot
        return slot.times

    assert asyncio.run(main()) == 1
    assert "no room" in caplog.text
