"""What another item of the same caller found is not held up by one that is given up."""

import asyncio
import time
from dataclasses import replace

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program
from roundsmith.verdicts import Verdict

SLOW = Program("c", "import time\ndef f(x):\n    time.sleep(0.3)\n    return x\n")
ITEM = ExecuteItem("i", (SLOW,), (CallTest("t", "f", (1,), 1),), no_cache=True)
PATIENCE_S = 60.0


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
