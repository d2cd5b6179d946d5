"""How long a busy machine takes to start a child is not the program's time."""

import asyncio
import os
import signal
import time
from pathlib import Path

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, ExecuteItem, JudgedAt, Limits, Outcome, Program
from roundsmith.verdicts import Verdict

STOPPED_S = 9.0
LIMITS = Limits(cpu_s=1.0, wall_factor=4.0)
PROGRAM = Program("c", "def f():\n    return 1\n")


def zygotes(supervisor: int) -> list[int]:
    """The processes below a supervisor that are there before a program is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == supervisor:
            found.append(int(stat.parent.name))
    return found


def test_a_child_that_starts_late_has_all_its_wall_time_left() -> None:
    """It would be a WALL_TIMEOUT first, which is run again alone."""

    async def main() -> list[Outcome]:
        async with Pool(ExecutorSettings(slots=1, highest="T1")) as pool:
            (supervisor,) = pool.supervisor_pids()
            (zygote,) = zygotes(supervisor)
            item = ExecuteItem(
                "i", (PROGRAM,), (AssertTest("t", "assert f() == 1"),), limits=LIMITS
            )
            os.kill(zygote, signal.SIGSTOP)
            began = time.monotonic()
            running = asyncio.ensure_future(_outcomes(pool, item))
            await asyncio.sleep(STOPPED_S)
            os.kill(zygote, signal.SIGCONT)
            found = await running
            assert time.monotonic() - began > STOPPED_S > 2 * LIMITS.cpu_s * LIMITS.wall_factor
            assert pool.tally.runs["alone"] == 0
            return found

    (outcome,) = asyncio.run(main())
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.OUTSIDE), outcome
    assert outcome.wall_s < STOPPED_S


async def _outcomes(pool: Pool, item: ExecuteItem) -> list[Outcome]:
    return [outcome async for outcome in pool.execute(item)]
