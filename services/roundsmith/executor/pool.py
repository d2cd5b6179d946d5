"""The pool: a fixed number of slots, each a supervisor somewhere, and matrices run over them row by
row.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

from roundsmith.errors import SandboxError
from roundsmith.executor import matrix, probe
from roundsmith.executor.admission import Admission
from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.local_supervisors import ProcessSupervisors
from roundsmith.executor.matrix import PlannedRow
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.rows import Result, Row
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.slots import Place, SlotState
from roundsmith.executor.supervisor import Slot, Supervisor, Supervisors
from roundsmith.sandbox.codec import MAX_BYTES, MAX_DEPTH
from roundsmith.types import ExecuteItem, Outcome

_WAITING_OUTCOMES = 1024
_DETAIL_CHARACTERS = 2000


def _supervisors(settings: ExecutorSettings) -> Supervisors:
    match settings.pool:
        case "local":
            return ProcessSupervisors()
        case "pods":
            return PodSupervisors(settings)


class Pool:
    """Runs matrices in sandboxes, where the settings say. Make one with `start`, or with `async
    with`.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self._supervisors = _supervisors(settings)
        self._admission = Admission(settings.floor)
        self._idle: asyncio.Queue[SlotState] = asyncio.Queue()
        self._slots: list[SlotState] = []
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
        isolate = self.settings.highest != "T1" and await self._namespaces_allowed()
        for number in range(self.settings.slots):
            state = SlotState(self._slot_of(number, isolate), self._supervisors, self._admission)
            self._slots.append(state)
        places = []
        for state in self._slots:
            await state.supervisor()
            places.append(state.place)
            self._idle.put_nowait(state)
        checks = self._admission.weakest
        self._capabilities = Capabilities(
            tier=probe.tier(checks),
            checks=checks,
            profiles=self.settings.profiles,
            slots=self.settings.slots,
            max_value_bytes=MAX_BYTES,
            max_value_depth=MAX_DEPTH,
            max_cells=self.settings.max_cells,
            image=", ".join(sorted({place.image for place in places})),
        )

    def _slot_of(self, number: int, isolate: bool) -> Slot:
        return Slot(number, self.settings.profiles[0], isolate, self.settings.uid_base)

    async def _namespaces_allowed(self) -> bool:
        """Whether a supervisor can enter its namespaces; the probe then tells what is missing."""
        slot = self._slot_of(0, True)
        link = await self._supervisors.open(slot)
        try:
            await (await Supervisor.on(link, slot)).close()
        except SandboxError:
            return False
        return True

    async def close(self) -> None:
        """Ends every supervisor and everything that runs under it."""
        for state in self._slots:
            await state.close()
        self._slots = []
        await self._supervisors.close()

    def capabilities(self) -> Capabilities:
        """What was tried at start and what held."""
        return self._capabilities

    def supervisor_pids(self) -> list[int]:
        """The processes of the slots that are up, as numbered where they run."""
        running = [state.running for state in self._slots if state.running is not None]
        return [supervisor.started.pid for supervisor in running]

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
                async with aclosing(self._run_row(row, item)) as outcomes:
                    async for outcome in outcomes:
                        await ready.put(outcome)
        finally:
            await asyncio.shield(ready.put(None))

    async def _run_row(self, row: PlannedRow, item: ExecuteItem) -> AsyncGenerator[Outcome, None]:
        """The row's outcomes. A sandbox that fails is replaced and the undecided cells are run
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
                            yield _outcome(row, result, state.place)
                return
            except SandboxError as error:
                if attempt == self.settings.attempts:
                    nowhere = Place(self._capabilities.tier, self._capabilities.image)
                    for question in pending:
                        yield _outcome(row, matrix.infra_error(question, str(error)), nowhere)

    @asynccontextmanager
    async def _slot(self) -> "AsyncIterator[SlotState]":
        state = await self._idle.get()
        try:
            yield state
        finally:
            self._idle.put_nowait(state)


def _outcome(row: PlannedRow, result: Result, place: Place) -> Outcome:
    end = result.ending
    return Outcome(
        code_id=row.program.code_id,
        test_id=result.question.test.test_id,
        verdict=end.verdict,
        judge=result.question.judged_at,
        tier=place.tier,
        image=place.image,
        near_limit=result.near_limit,
        # A program's own words may hold half characters, which no message can carry.
        detail=end.detail[:_DETAIL_CHARACTERS].encode("utf-8", "replace").decode(),
        cpu_s=end.cpu_s,
        wall_s=end.wall_s,
    )
