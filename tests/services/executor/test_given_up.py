"""What is given up holds up nobody, and nothing of it is taken for what comes next."""

import asyncio
import os
import signal
import time
from dataclasses import replace

import pytest

from roundsmith.executor.alone import run_of
from roundsmith.executor.asked_asserts import CALL
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox.codec import encode
from roundsmith.types import CallTest, ExecuteItem, Limits, Outcome, Program
from roundsmith.verdicts import Verdict
from tests.processes import children

SLOW = Program("c", "import time\ndef f(x):\n    time.sleep(1.5)\n    return x\n")
ITEM = ExecuteItem("i", (SLOW,), (CallTest("t", "f", (1,), 1),), no_cache=True)
PATIENCE_S = 300.0


async def outcomes(pool: Pool, item: ExecuteItem) -> list[Outcome]:
    return [outcome async for outcome in pool.execute(item, "a")]


async def states(pool: Pool, **wanted: int) -> None:
    """Returns when so many items run and wait."""
    until = time.monotonic() + PATIENCE_S
    while pool.items() != wanted:
        assert time.monotonic() < until, pool.items()
        await asyncio.sleep(0.002)


def test_an_item_ends_although_the_one_that_waited_for_its_slot_was_given_up() -> None:
    """Left for the other's canary, which never comes; no canary is due by time or number here."""

    async def main() -> None:
        settings = ExecutorSettings(slots=1, highest="T1", canary_s=1e6, canary_runs=10**6)
        async with Pool(settings) as pool:
            first = asyncio.create_task(outcomes(pool, ITEM))
            await states(pool, running=1, waiting=0)
            second = asyncio.create_task(outcomes(pool, replace(ITEM, item_id="j")))
            await states(pool, running=1, waiting=1)
            second.cancel()
            async with asyncio.timeout(PATIENCE_S):
                assert [outcome.verdict for outcome in await first] == [Verdict.PASS]

    asyncio.run(main())


def test_who_waits_for_a_row_that_may_stop_and_has_a_test_twice_is_answered() -> None:
    tests = (*ITEM.tests, replace(ITEM.tests[0], test_id="again"))
    item = replace(ITEM, tests=tests, no_cache=False, stop_row_on_failure=True)

    async def main() -> None:
        async with Pool(ExecutorSettings(slots=2, highest="T1")) as pool:
            items = item, replace(item, item_id="j")
            async with asyncio.timeout(PATIENCE_S):
                found = await asyncio.gather(*(outcomes(pool, one) for one in items))
            assert [len(one) for one in found] == [2, 2]

    asyncio.run(main())


def test_who_waits_for_cells_of_an_item_that_is_cancelled_twice_runs_them() -> None:
    item = replace(ITEM, no_cache=False)

    async def main() -> None:
        async with Pool(ExecutorSettings(slots=1, highest="T1")) as pool:
            first = asyncio.create_task(outcomes(pool, item))
            await states(pool, running=1, waiting=0)
            second = asyncio.create_task(outcomes(pool, replace(item, item_id="j")))
            await states(pool, running=1, waiting=1)
            for _ in range(2):
                first.cancel()
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_S):
                assert [outcome.verdict for outcome in await second] == [Verdict.PASS]
            await states(pool, running=0, waiting=0)

    asyncio.run(main())


def test_a_slot_that_was_given_up_before_its_run_began_is_idle_again() -> None:
    """While its profile's zygote is made, which here takes until it is let go on."""
    item = replace(ITEM, profile="scientific")

    async def main() -> None:
        async with Pool(ExecutorSettings(slots=1, highest="T1")) as pool:
            if item.profile not in pool.capabilities().profiles:
                pytest.skip("numpy and pandas are not here")
            first, pids = asyncio.create_task(outcomes(pool, item)), pool.supervisor_pids()
            async with asyncio.timeout(PATIENCE_S):
                while len(zygotes := children(pids[0])) < 2:
                    await asyncio.sleep(0.001)
                os.kill(zygotes[1], signal.SIGSTOP)
                try:
                    first.cancel()
                    await asyncio.wait([first])
                    while pool.slots()["idle"] != 1:
                        await asyncio.sleep(0.01)
                    assert [o.verdict for o in await outcomes(pool, ITEM)] == [Verdict.PASS]
                finally:
                    os.kill(zygotes[1], signal.SIGCONT)
                assert [o.verdict for o in await outcomes(pool, item)] == [Verdict.PASS]
            assert (pool.supervisor_pids(), children(pids[0])) == (pids, zygotes)

    asyncio.run(main())


def test_a_run_whose_end_was_interrupted_is_never_read_as_the_next_one() -> None:
    right, wrong = (Program("c", f"def f(x):\n    return {value}\n") for value in (1, 2))
    question = CALL, encode(("f", (1,), {}))

    async def main() -> None:
        async with Pool(ExecutorSettings(slots=1, highest="T1")) as pool:
            (state,) = pool._slots
            supervisor = await state.supervisor()
            request = run_of(right, Limits(), [], 1.0)._replace(cells=(question,))
            unread = asyncio.create_task(anext(supervisor.run(request)))
            await asyncio.sleep(0)
            for _ in range(2):
                unread.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([unread])
            found = await outcomes(pool, replace(ITEM, programs=(wrong,)))
            assert [outcome.verdict for outcome in found] == [Verdict.FAIL]
            assert not pool.tally.retries, "what was left of it cost an attempt of another"

    asyncio.run(main())
