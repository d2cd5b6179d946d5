"""What the executor says of itself holds now, not only when it started."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Program

ITEM = ExecuteItem(
    "i", (Program("c", "def f():\n    return 1\n"),), (CallTest("t", "f", (), 1),), no_cache=True
)


def test_a_sandbox_that_came_later_and_holds_less_shows() -> None:
    """As where a pod is replaced by one on a node that allows no namespaces."""

    async def main() -> None:
        async with Pool(ExecutorSettings(slots=1, floor="T1")) as pool:
            if pool.capabilities().tier != "T2":
                pytest.skip("T2 does not hold here")
            (state,) = pool._slots
            state._slot = replace(state._slot, isolate=False)
            pool._admission._tier_by_sandbox.clear()
            for pid in pool.supervisor_pids():
                os.kill(pid, signal.SIGKILL)
            (outcome,) = [outcome async for outcome in pool.execute(ITEM)]
            held = pool.capabilities()
            assert (outcome.tier, held.tier) == ("T1", "T1")
            assert not all(check.holds for check in held.checks if check.tier == "T2")

    asyncio.run(main())
