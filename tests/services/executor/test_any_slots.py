"""The same inputs give the same verdicts on 1, 2 and 3 slots, whatever the programs are like."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Limits, Program
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict

BODIES = (
    "return x + 1",
    "return x",
    "raise KeyError(x)",
    "return x + 1 if x % 2 else None",
    "seen.append(x); return x + len(seen)",
    "seen.append(x); return x + 1 if len(seen) > 1 or x == 0 else 0",
    "seen.append(x); return x + 1 if len(seen) < 3 else 0",
    "import os; os._exit(0) if x == 2 else None; return x + 1",
    "import os; os.write(3, b'forged') if x == 1 else None; return x + 1",
    "return bytearray(2 ** 40)",
    "import socket; socket.socket()",
    "return x + 1 if x != 3 else sum(iter(int, 1))",
)
SOURCES = (
    *(f"seen = []\ndef f(x):\n    {body}\n" for body in BODIES),
    "def f(x) return x\n",
    "raise SystemExit\n",
)
TESTS: tuple[AnyTest, ...] = (
    *(CallTest(f"call{at}", "f", (at,), at + 1) for at in range(5)),
    AssertTest("split", "assert f(6) == 7"),
    AssertTest("whole", "for x in (7, 8):\n    assert f(x) == x + 1"),
)
LIMITS = Limits(cpu_s=0.1, wall_factor=60, memory_bytes=128 * 2**20)


class Pools:
    """Pools of 1, 2 and 3 slots on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._pools = [self._loop.run_until_complete(self._start(slots)) for slots in (1, 2, 3)]

    async def _start(self, slots: int) -> Pool:
        # No cache, so that an item that comes again is run again.
        return await self._stack.enter_async_context(
            Pool(ExecutorSettings(slots=slots, highest="T1", cache_bytes=0))
        )

    def cells(self, item: ExecuteItem) -> list[dict[tuple[str, str], tuple[Verdict, str, int]]]:
        """What each pool says of an item, by cell, but for cells near their limit."""
        return [self._loop.run_until_complete(self._cells(pool, item)) for pool in self._pools]

    async def _cells(
        self, pool: Pool, item: ExecuteItem
    ) -> dict[tuple[str, str], tuple[Verdict, str, int]]:
        outcomes = [outcome async for outcome in pool.execute(item)]
        stops = item.stop_row_on_failure or item.stop_row_after_timeouts
        count = sum(1 + o.left_out for o in outcomes)
        assert count == len(item.programs) * len(item.tests), "a cell was lost or came twice"
        assert stops or len(outcomes) == count
        return {
            (o.code_id, o.test_id): (o.verdict, str(o.judge), o.left_out)
            for o in outcomes
            if not o.near_limit
        }

    def close(self) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    made = Pools()
    try:
        yield made
    finally:
        made.close()


@st.composite
def items(draw: st.DrawFn) -> ExecuteItem:
    """A small matrix of programs, tests and ways to run it."""
    sources = draw(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=4))
    tests = draw(st.lists(st.sampled_from(TESTS), min_size=1, max_size=7, unique_by=id))
    return ExecuteItem(
        "i",
        tuple(Program(f"c{at}", source) for at, source in enumerate(sources)),
        tuple(tests),
        limits=LIMITS,
        rerun_share=draw(st.sampled_from([0.0, 0.2, 1.0])),
        stop_row_on_failure=draw(st.booleans()),
        stop_row_after_timeouts=draw(st.integers(0, 2)),
    )


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(item=items())
def test_case_82_the_same_matrix_has_the_same_verdicts_on_1_2_and_3_slots(
    pools: Pools, item: ExecuteItem
) -> None:
    one, two, three = pools.cells(item)
    common = one.keys() & two.keys() & three.keys()
    for found in (two, three):
        assert {cell: found[cell] for cell in common} == {cell: one[cell] for cell in common}
    # What is near its limit is excepted, and nothing here is but what runs for ever.
    assert len(common) >= max(map(len, (one, two, three))) - sum(
        "iter(int" in p.source for p in item.programs
    )
