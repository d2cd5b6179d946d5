"""The pool: a fixed number of slots, each a supervisor somewhere, and matrices run over them row by
row.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Self

from roundsmith.errors import PlatformError, RoundsmithError, SandboxError
from roundsmith.executor import matrix, probe
from roundsmith.executor.admission import Admission
from roundsmith.executor.capabilities import Capabilities
from roundsmith.executor.execution import Execution
from roundsmith.executor.jobs import Patience
from roundsmith.executor.kept import KeptCells, Memory
from roundsmith.executor.local_supervisors import ProcessSupervisors
from roundsmith.executor.matrix import Plan
from roundsmith.executor.offered import check_profile, offered
from roundsmith.executor.pod_scaling import PodScaling
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.running import run_all
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.slots import Place, SlotState
from roundsmith.executor.supervisor import Slot, Supervisor, Supervisors
from roundsmith.executor.tally import Tally
from roundsmith.executor.turns import Turns
from roundsmith.sandbox.codec import MAX_BYTES
from roundsmith.serve import Load
from roundsmith.types import ExecuteItem, Outcome
from roundsmith.wire import MAX_VALUE_DEPTH

log = logging.getLogger(__name__)


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
        self.tally = Tally()
        self._turns = Turns(self.tally)
        self._kept = KeptCells(settings.cache_bytes, settings.cache_s)
        self._load = Load("cells", settings.max_cells_under_way)
        self._slots: list[SlotState] = []
        self._scaling: asyncio.Task[None] | None = None
        self.quarantined: Counter[str] = Counter()
        """Supervisors that were ended because of a canary, by the promise that they broke."""
        self._capabilities: Capabilities

    @classmethod
    async def start(cls, settings: ExecutorSettings) -> Self:
        """Starts the supervisors and tries what isolation holds. Raises IsolationFloor below the
        floor.
        """
        return await cls(settings).__aenter__()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
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
        places, supervisors = [], []
        for state in self._slots:
            supervisors.append(await state.supervisor())
            places.append(state.place)
        profiles, missing = offered(settings.profiles, supervisors)
        self._turns.add(self._slots)
        checks = self._admission.weakest
        self._capabilities = Capabilities(
            tier=probe.tier(checks),
            checks=checks,
            profiles=profiles,
            missing_profiles=missing,
            slots=self.settings.slots,
            max_value_bytes=MAX_BYTES,
            max_value_depth=MAX_VALUE_DEPTH,
            max_cells=self.settings.max_cells,
            image=", ".join(sorted({place.image for place in places})),
            rerun_share=self.settings.rerun_share,
        )

        if settings.deployment:
            assert isinstance(self._supervisors, PodSupervisors)
            scaling = PodScaling(settings, self._supervisors, self.demand)
            self._scaling = asyncio.create_task(scaling.run())

    def items(self) -> dict[str, int]:
        """How many items are under way: those with a slot, and those that wait for one."""
        running = self._turns.num_running
        return {"running": running, "waiting": self._turns.num_items - running}

    def slots(self) -> dict[str, int]:
        """How many slots run something, are free, or are left alone since nothing starts there."""
        idle, broken = self._turns.num_idle, self._turns.num_broken
        return {"busy": len(self._slots) - idle - broken, "idle": idle, "broken": broken}

    def num_kept_bytes(self) -> int:
        """What is kept of cells that were run."""
        return self._kept.num_bytes

    def demand(self) -> int:
        """How many rows run and wait for a slot."""
        return len(self._slots) - self._turns.num_idle + self._turns.num_waiting

    def _slot_of(self, number: int, isolate: bool) -> Slot:
        settings = self.settings
        compiled = settings.launcher == "c"
        return Slot(number, isolate, settings.uid_base, compiled)

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
        await self._turns.close()
        for state in self._slots:
            await state.close()
        self._slots = []
        await self._supervisors.close()

    async def failed(self) -> RoundsmithError:
        """Returns when nobody looks after the sandbox pods any more, with the reason; never where
        the supervisors are this machine's own.
        """
        if self._scaling is not None:
            await asyncio.wait([self._scaling])
            if not self._scaling.cancelled() and (error := self._scaling.exception()) is not None:
                log.error("sandbox pods: nobody looks after them", exc_info=error)
                return PlatformError(
                    "sandbox pods: expected their number to be looked after, saw "
                    f"{type(error).__name__}: {error}: the service is to be started again"
                )
        await asyncio.Event().wait()
        raise AssertionError("never")

    def capabilities(self) -> Capabilities:
        """What holds in the weakest of the supervisors that are up, as their first canaries saw it;
        a sandbox that came later may hold less than those at the start, though never less than the
        floor.
        """
        up = [state for state in self._slots if state.running is not None]
        if up:
            weakest = min(up, key=lambda state: state.place.tier)
            self._capabilities = replace(
                self._capabilities,
                tier=weakest.place.tier,
                checks=weakest.checks,
                image=", ".join(sorted({state.place.image for state in up})),
            )
        return self._capabilities

    def supervisor_pids(self) -> list[int]:
        """The processes of the slots that are up, as numbered where they run."""
        running = [state.running for state in self._slots if state.running is not None]
        return [supervisor.started.pid for supervisor in running]

    async def execute(self, item: ExecuteItem, caller: str = "") -> AsyncGenerator[Outcome, None]:
        """The outcomes of `batches`, one by one."""
        async with aclosing(self.batches(item, caller)) as batches:
            async for batch in batches:
                for outcome in batch:
                    yield outcome

    async def batches(
        self, item: ExecuteItem, caller: str = ""
    ) -> AsyncGenerator[list[Outcome], None]:
        """The outcome of every cell, once, as a canary confirms it, in any order.

        Slots are shared between callers. Raises ConfigError for an item that can not be run,
        Overloaded when too many cells are under way. Leaving the iteration early (aclose) cancels
        what runs and frees the slots.
        """
        check_profile(item, self._capabilities)
        if matrix.takes_long(item):  # beside the event loop, which has others to serve
            plan = await asyncio.to_thread(matrix.plan, item, self.settings)
        else:
            plan = matrix.plan(item, self.settings)
        self._load.begin(caller, plan.num_cells)
        left = plan.num_cells
        self.tally.num_open += left
        try:
            async with aclosing(self._execute(item, plan, caller)) as batches:
                async for batch in batches:
                    told = len(batch) + sum(outcome.left_out for outcome in batch)
                    left -= told
                    self.tally.num_open -= told
                    yield batch
        finally:
            self.tally.num_open -= left
            self._load.end(caller, plan.num_cells)

    def _execute(
        self, item: ExecuteItem, plan: Plan, caller: str
    ) -> AsyncGenerator[list[Outcome], None]:
        nowhere = Place(self._capabilities.tier, self._capabilities.image)
        memory = None
        if plan.once:
            places = {state.place for state in self._slots if state.running is not None}
            memory = Memory(self._kept, caller, item.profile, plan.rules, places)
        patience = Patience(self.settings.attempts, self.settings.start_s, self.tally)
        execution = Execution(plan, patience, nowhere, memory, self.tally)
        rows_at_once = min(self.settings.slots, len(item.programs))
        return run_all(execution, self._turns, caller, rows_at_once)
