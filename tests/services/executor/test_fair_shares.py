"""One caller's many cells do not starve another's few: through a real channel, by counting cells,
not seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from roundsmith.config import ServeSettings
from roundsmith.errors import Overloaded
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.serve import listening
from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.v1 import executor_pb2_grpc
from roundsmith.wire import to_message
from roundsmith.wire.status import from_status

SOURCE = "def f(x):\n    return x + 1\n"
DEADLINE_S = 600


class Caller:
    """One caller by its name: what it has been told, in order."""

    def __init__(self, address: str, name: str, told: list[tuple[str, pb2.Outcome]]) -> None:
        self._name, self._told = name, told
        self._channel = grpc.aio.insecure_channel(address)
        self._stub: Any = executor_pb2_grpc.ExecutorServiceStub(self._channel)

    async def execute(
        self, *items: ExecuteItem, timeout_s: float = DEADLINE_S
    ) -> list[pb2.ExecuteStreamResponse]:
        """All answers to these items of one stream."""

        async def requests() -> AsyncIterator[pb2.ExecuteStreamRequest]:
            for item in items:
                yield pb2.ExecuteStreamRequest(request_id="r", item=to_message(item))

        metadata = (("x-roundsmith-client", self._name),)
        answers = []
        call = self._stub.ExecuteStream(requests(), timeout=timeout_s, metadata=metadata)
        async for answer in call:
            answers.append(answer)
            if answer.HasField("outcome"):
                self._told.append((self._name, answer.outcome))
        return answers

    async def close(self) -> None:
        await self._channel.close()


@asynccontextmanager
async def two_callers(
    **settings: object,
) -> AsyncIterator[tuple[Caller, Caller, list[tuple[str, pb2.Outcome]]]]:
    """Callers a and b of one slot, and what both were told, in order."""
    given = {"slots": 1, "highest": "T1", "cache_bytes": 0, **settings}
    serve = ServeSettings()
    told: list[tuple[str, pb2.Outcome]] = []
    async with (
        Pool(ExecutorSettings.model_validate(given)) as pool,
        listening(bindings(pool, serve), serve) as addresses,
    ):
        a, b = (Caller(addresses["address"], name, told) for name in "ab")
        try:
            yield a, b, told
        finally:
            await a.close()
            await b.close()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def matrix(name: str, programs: int, tests: int, source: str = SOURCE) -> ExecuteItem:
    return ExecuteItem(
        name,
        tuple(Program(f"c{at}", f"{source}# {name} {at}") for at in range(programs)),
        tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(tests)),
        rerun_share=0.0,
    )


async def told_of(name: str, told: list[tuple[str, pb2.Outcome]], count: int) -> None:
    async with asyncio.timeout(300):
        while sum(who == name for who, _ in told) < count:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "items",
    [[matrix("m", 400, 10)], [matrix(f"m{at}", 2, 10) for at in range(200)]],
    ids=["one matrix", "many items at once"],
)
def test_few_cells_are_done_in_about_their_share_of_anothers_many(items: list[ExecuteItem]) -> None:
    async def race() -> None:
        async with two_callers() as (a, b, told):
            many = asyncio.create_task(a.execute(*items))
            await told_of("a", told, 1)
            before = len(told)
            assert len(await b.execute(matrix("few", 10, 1))) == 10
            between = sum(who == "a" for who, _ in told[before:])
            assert not many.done()
            # What had been run for a and waited for a canary, and at most a turn or two.
            assert between <= 1200, f"{between} of 4000 cells came first"
            assert sum(answer.HasField("outcome") for answer in await many) == 4000

    run(race)


def test_a_long_row_gives_way_to_another_caller_and_ends_as_it_would_have() -> None:
    slow = "import time\nseen = []\ndef f(x):\n    time.sleep(0.08)\n    seen.append(x)\n"
    slow += "    return x + 1 if seen == list(range(x + 1)) else 0\n"

    async def race() -> None:
        async with two_callers() as (a, b, told):
            long = asyncio.create_task(a.execute(matrix("long", 1, 80, slow)))
            await asyncio.sleep(0.3)
            assert len(await b.execute(matrix("few", 1, 1))) == 1
            assert [who for who, _ in told] == ["b"], "the long row was over before"
            answers = await long
            # It passes only by its own state, so a row that went on elsewhere would have failed.
            assert {answer.outcome.verdict for answer in answers} == {pb2.VERDICT_PASS}
            assert len(answers) == 80

    run(race)


def test_case_79_too_many_cells_are_refused_with_a_time_to_wait_and_leave_room_for_others() -> None:
    sleeps = "import time\ndef f(x):\n    time.sleep(0.15)\n    return x + 1\n"

    async def overload() -> None:
        async with two_callers(max_cells=50, max_cells_under_way=100) as (a, b, _):
            first = asyncio.create_task(a.execute(matrix("first", 4, 10, sleeps)))
            await asyncio.sleep(0.2)
            (refused,) = await a.execute(matrix("more", 1, 20))
            error = from_status(refused.error)
            assert isinstance(error, Overloaded)
            assert error.retry_after_s > 0
            assert "50 cells of one caller" in str(error)
            assert len(await b.execute(matrix("few", 1, 10))) == 10
            assert len(await a.execute(matrix("fits", 1, 10))) == 10
            assert len(await first) == 40
            assert len(await a.execute(matrix("more", 1, 20))) == 20, "it fits after a while"

    run(overload)


def test_who_sleeps_in_a_slot_has_its_share_used_up_by_that() -> None:
    """By CPU time alone the sleeper would have used nothing, and would always be next."""
    turn_s = 0.5
    sleeps = f"import time\ndef f(x):\n    time.sleep({turn_s})\n    return x + 1\n"

    async def race() -> None:
        async with two_callers() as (a, b, told):
            items = [matrix(f"s{at}", 1, 1, sleeps) for at in range(60)]
            sleeper = asyncio.create_task(a.execute(*items))
            await told_of("a", told, 2)
            before, begun = len(told), asyncio.get_running_loop().time()
            assert len(await b.execute(matrix("few", 20, 1))) == 20
            half_s = (asyncio.get_running_loop().time() - begun) / 2
            # All that are left would take twice as many, however slow the machine is for b.
            turns = sum(who == "a" for who, _ in told[before:])
            assert turns <= half_s / turn_s + 3, f"{turns} turns in {2 * half_s:.1f} s"
            sleeper.cancel()

    run(race)


@pytest.mark.parametrize("by", ["cancelling", "deadline"])
def test_what_is_given_up_frees_its_slot_for_the_next_caller(by: str) -> None:
    endless = matrix("endless", 3, 1, "def f(x):\n    while True: pass\n")
    endless = replace(endless, limits=Limits(cpu_s=600))

    async def race() -> None:
        async with two_callers() as (a, b, told):
            timeout_s = 12.0 if by == "deadline" else DEADLINE_S
            task = asyncio.create_task(a.execute(endless, timeout_s=timeout_s))
            await asyncio.sleep(0.5)
            waiting = asyncio.create_task(b.execute(matrix("few", 1, 1)))
            await asyncio.sleep(0.2)
            assert not told
            if by == "cancelling":
                task.cancel()
            async with asyncio.timeout(300):  # its programs would have run for an hour
                assert len(await waiting) == 1
            with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
                await task
            assert [who for who, _ in told] == ["b"]

    run(race)
