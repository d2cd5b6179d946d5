"""The local pool: a fixed number of slots, each a supervisor process, and matrices run over them
row by row.
"""

import asyncio
import platform
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

from roundsmith.errors import SandboxError
from roundsmith.executor import matrix, probe
from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.matrix import PlannedRow
from roundsmith.executor.rows import Result, Row
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.supervisor_process import Slot, SupervisorProcess
from roundsmith.sandbox.codec import MAX_BYTES, MAX_DEPTH
from roundsmith.sandbox.runs import Event, Run
from roundsmith.types import ExecuteItem, Outcome

SANDBOX_VERSION = "1"
_WAITING_OUTCOMES = 1024


class LocalPool:
    """Runs matrices in sandboxed processes of this machine. Make one with `start`, or with `async
    with`.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self._idle: asyncio.Queue[_SlotState] = asyncio.Queue()
        self._slots: list[_SlotState] = []
        self._capabilities: Capabilities

    @classmethod
    async def start(cls, settings: ExecutorSettings) -> Self:
        """Starts the supervisors and tries what isolation holds. Raises IsolationFloor below the
        floor.
        """
        pool = cls(settings)
        try:
            await pool._start()
        except BaseException:
            await pool.close()
            raise
        return pool

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _start(self) -> None:
        isolate = self.settings.highest != "T1" and await _namespaces_allowed(self.settings)
        for number in range(self.settings.slots):
            slot = Slot(number, self.settings.profiles[0], isolate, self.settings.uid_base)
            self._slots.append(_SlotState(slot))
        for state in self._slots:
            await state.supervisor()
            self._idle.put_nowait(state)
        checks = await probe.probe(await self._slots[0].supervisor())
        probe.require(self.settings.floor, checks)
        self._capabilities = Capabilities(
            tier=probe.tier(checks),
            checks=checks,
            profiles=self.settings.profiles,
            slots=self.settings.slots,
            max_value_bytes=MAX_BYTES,
            max_value_depth=MAX_DEPTH,
            max_cells=self.settings.max_cells,
            image=f"python-{platform.python_version()}-sandbox-{SANDBOX_VERSION}",
        )

    async def close(self) -> None:
        """Ends every supervisor and everything that runs under it."""
        for state in self._slots:
            await state.close()
        self._slots = []

    def capabilities(self) -> Capabilities:
        """What was tried at start and what held."""
        return self._capabilities

    def supervisor_pids(self) -> list[int]:
        """The processes of the slots that are up."""
        return [state.running.pid for state in self._slots if state.running is not None]

    async def execute(self, item: ExecuteItem) -> AsyncGenerator[Outcome, None]:
        """The outcome of every cell, once, as each is known, in any order.

        Raises ConfigError for an item that can not be run. Leaving the iteration early (aclose)
        cancels what runs and frees the slots.
        """
        rows = iter(matrix.plan(item, self.settings))
        ready: asyncio.Queue[Outcome | None] = asyncio.Queue(_WAITING_OUTCOMES)
        workers = [
            asyncio.create_task(self._work(rows, item, ready)) for _ in range(self.settings.slots)
        ]
        try:
            left = len(workers)
            while left:
                outcome = await ready.get()
                if outcome is None:
                    left -= 1
                else:
                    yield outcome
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(
        self, rows: Iterator[PlannedRow], item: ExecuteItem, ready: "asyncio.Queue[Outcome | None]"
    ) -> None:
        try:
            for row in rows:
                async with aclosing(self._run_row(row, item)) as results:
                    async for result in results:
                        await ready.put(self._outcome(row, result))
        finally:
            await asyncio.shield(ready.put(None))

    async def _run_row(self, row: PlannedRow, item: ExecuteItem) -> AsyncGenerator[Result, None]:
        """The row's results. A sandbox that fails is replaced and the undecided cells are run
        again.
        """
        pending = list(row.questions)
        for attempt in range(1, self.settings.attempts + 1):
            try:
                async with self._slot() as state:
                    engine = Row(row.program, item.limits, item.stop_row_on_failure, state.run)
                    async with aclosing(engine.results(pending)) as results:
                        async for result in results:
                            pending = [
                                q for q in pending if q.test.test_id != result.question.test.test_id
                            ]
                            yield result
                return
            except SandboxError as error:
                if attempt == self.settings.attempts:
                    for question in pending:
                        yield matrix.infra_error(question, str(error))

    @asynccontextmanager
    async def _slot(self) -> "AsyncIterator[_SlotState]":
        state = await self._idle.get()
        try:
            yield state
        finally:
            self._idle.put_nowait(state)

    def _outcome(self, row: PlannedRow, result: Result) -> Outcome:
        end, capabilities = result.ending, self._capabilities
        return Outcome(
            code_id=row.program.code_id,
            test_id=result.question.test.test_id,
            verdict=end.verdict,
            judge=result.question.judged_at,
            tier=capabilities.tier,
            image=capabilities.image,
            near_limit=result.near_limit,
            detail=end.detail,
            cpu_s=end.cpu_s,
            wall_s=end.wall_s,
        )


class _SlotState:
    """One slot: its supervisor, started when first needed and replaced after it was lost."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.running: SupervisorProcess | None = None

    async def supervisor(self) -> SupervisorProcess:
        """The supervisor, started if there is none. Raises SandboxError when it does not start."""
        if self.running is None:
            self.running = await SupervisorProcess.start(self._slot)
        return self.running

    async def run(self, run: Run) -> AsyncGenerator[Event, None]:
        """One run in this slot; a supervisor that is not idle again afterwards is replaced."""
        supervisor = await self.supervisor()
        try:
            async with aclosing(supervisor.run(run)) as events:
                async for event in events:
                    yield event
        finally:
            if not supervisor.idle:
                await self.close()

    async def close(self) -> None:
        """Ends the supervisor, if there is one."""
        if self.running is not None:
            running, self.running = self.running, None
            await running.close()


async def _namespaces_allowed(settings: ExecutorSettings) -> bool:
    """Whether a supervisor can enter its namespaces; the probe then tells what is missing."""
    state = _SlotState(Slot(0, settings.profiles[0], True, settings.uid_base))
    try:
        await state.supervisor()
    except SandboxError:
        return False
    finally:
        await state.close()
    return True
