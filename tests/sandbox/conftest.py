"""A real pool for the session, on an event loop of its own thread, to be attacked."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Limits, Outcome, Program, StdioTest
from roundsmith.types import Test as AnyTest
from tests.services.executor.sandbox_pod import sandbox_pod

LIMITS = Limits(cpu_s=0.5, memory_bytes=128 * 2**20, file_bytes=2**20, wall_factor=4.0)


class Box:
    """Runs programs in the pool and gives what came of them."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool, self._loop = pool, loop

    @property
    def capabilities(self) -> Capabilities:
        return self._pool.capabilities()

    @property
    def supervisor_pids(self) -> list[int]:
        return self._pool.supervisor_pids()

    def matrix(self, item: ExecuteItem) -> list[Outcome]:
        """The outcomes of an item, in the order in which they came."""

        async def collect() -> list[Outcome]:
            return [outcome async for outcome in self._pool.execute(item)]

        return asyncio.run_coroutine_threadsafe(collect(), self._loop).result(120)

    def run(self, source: str, test: AnyTest, limits: Limits = LIMITS) -> Outcome:
        """The outcome of one program on one test."""
        (outcome,) = self.matrix(
            ExecuteItem("one", (Program("c", source),), (test,), limits=limits)
        )
        return outcome

    def call(self, source: str, expected: object = True, limits: Limits = LIMITS) -> Outcome:
        """The outcome of `f()` against a value."""
        return self.run(source, CallTest("t", "f", (), expected), limits)

    def check(self, source: str, statements: str, limits: Limits = LIMITS) -> Outcome:
        """The outcome of assert statements."""
        return self.run(source, AssertTest("t", statements), limits)

    def script(self, source: str, stdin: str, stdout: str, limits: Limits = LIMITS) -> Outcome:
        """The outcome of a script."""
        return self.run(source, StdioTest("t", stdin, stdout), limits)


@pytest.fixture(scope="session", params=["T2", "T1", "pod"])
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """The local pool at each tier, and a sandbox pod, where programs have the supervisor's user; a
    tier that this kernel does not hold is skipped.
    """
    with ExitStack() as stack:
        if request.param == "pod":
            settings = stack.enter_context(sandbox_pod()).settings()
        else:
            settings = ExecutorSettings(slots=2, highest=request.param)
        loop = stack.enter_context(_looping())
        pool = asyncio.run_coroutine_threadsafe(Pool.start(settings), loop).result(60)
        try:
            if pool.capabilities().tier != settings.highest:
                pytest.skip(f"{settings.highest} does not hold here")
            yield Box(pool, loop)
        finally:
            asyncio.run_coroutine_threadsafe(pool.close(), loop).result(60)


@contextmanager
def _looping() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
