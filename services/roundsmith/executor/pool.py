"""The pool: a fixed number of slots, each a supervisor somewhere, and matrices run over them row by
row.
"""

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

from roundsmith.errors import SandboxError
from roundsmith.executor import matrix, probe
from roundsmith.executor.admission import Admission
from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.execution import Execution, Job
from roundsmith.executor.local_supervisors import ProcessSupervisors
from roundsmith.executor.pod_scaling import PodScaling
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.rows import Row
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.slots import Place, SlotState
from roundsmith.executor.supervisor import Slot, Supervisor, Supervisors
from roundsmith.sandbox.codec import MAX_BYTES, MAX_DEPTH
from roundsmith.sandbox.runs import Event, Run
from roundsmith.types import ExecuteItem, Outcome


def _supervisors(settings: ExecutorSettings) -> Supervisors:
    match settings.pool:
        case "local":
            return ProcessSupervisors(settings)
        case "pods":
            return PodSupervisors(settings)


class Pool:
    """Runs matrices in sandboxes, where the settings say. Make one with `start`, or with `async
    with`.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self._supervisors = _supervisors(settings)
        self._admission = Admission(settings.least)
        self._idle: asyncio.Queue[SlotState] = asyncio.Queue()
        self._slots: list[SlotState] = []
        self._num_waiting = 0
        self._scaling: asyncio.Task[None] | None = None
        self.quarantined: Counter[str] = Counter()
        """Supervisors that were ended because of a canary, by the promise that they broke."""
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
        settings = self.settings
        for number in range(settings.slots):
            state = SlotState(
                self._slot_of(number, isolate),
                self._supervisors,
                self._admission,
                settings,
                self.quarantined,
            )
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

        if settings.deployment:
            assert isinstance(self._supervisors, PodSupervisors)
            scaling = PodScaling(settings, self._supervisors, self.demand)
            self._scaling = asyncio.create_task(scaling.run())

    def demand(self) -> int:
        """How many rows run and wait for a slot."""
        return len(self._slots) - self._idle.qsize() + self._num_waiting

    def _slot_of(self, number: int, isolate: bool) -> Slot:
        settings = self.settings
        compiled = settings.launcher == "c"
        return Slot(number, settings.profiles[0], isolate, settings.uid_base, compiled)

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
        if self._scaling is not None:
            self._scaling.cancel()
            await asyncio.gather(self._scaling, return_exceptions=True)
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
        """The outcome of every cell, once, as a canary confirms it, in any order.

        Raises ConfigError for an item that can not be run. Leaving the iteration early (aclose)
        cancels what runs and frees the slots.
        """
        nowhere = Place(self._capabilities.tier, self._capabilities.image)
        rows = matrix.plan(item, self.settings)
        execution = Execution(rows, self.settings.attempts, nowhere)
        workers = [
            asyncio.create_task(self._work(execution, item)) for _ in range(self.settings.slots)
        ]
        try:
            async with aclosing(execution.outcomes()) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, execution: Execution, item: ExecuteItem) -> None:
        try:
            while (job := await execution.next()) is not None:
                await execution.room()
                await self._run_job(job, execution, item)
        except BaseException as error:
            execution.fail(error)
            raise

    async def _run_job(self, job: Job, execution: Execution, item: ExecuteItem) -> None:
        """Finds what the job asks for. A sandbox that fails is replaced and the undecided cells are
        run again.
        """
        try:
            async with self._slot() as state:
                start = functools.partial(_start, state, execution)
                row = Row(job.row.program, item.limits, item.stop_row_on_failure, start)
                async with aclosing(row.results([*job.questions.values()])) as results:
                    async for result in results:
                        state.hold(execution.found(job, result, state.place))
        except SandboxError as error:
            execution.again(job, job.questions, error)
        else:
            execution.done(job)

    @asynccontextmanager
    async def _slot(self) -> "AsyncIterator[SlotState]":
        self._num_waiting += 1
        try:
            state = await self._idle.get()
        finally:
            self._num_waiting -= 1
        try:
            yield state
        finally:
            try:
                await state.settle(contended=self._num_waiting > 0)
            finally:
                self._give_back(state)

    def _give_back(self, state: SlotState) -> None:
        """One whose supervisors do not start is left alone for a while: others may."""
        if pause_s := state.pause_s:
            asyncio.get_running_loop().call_later(pause_s, self._idle.put_nowait, state)
        else:
            self._idle.put_nowait(state)


async def _start(state: SlotState, execution: Execution, run: Run) -> AsyncGenerator[Event, None]:
    """A run in the slot. One whose client has much to read waits, and what others found there not
    with it.
    """
    if execution.full:
        await state.settle(contended=False)
        await execution.room()
    async with aclosing(state.run(run)) as events:
        async for event in events:
            yield event
