"""One slot: where its runs are, the supervisor that runs them, and what was found there since its
last canary.
"""

import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from roundsmith.errors import SandboxError
from roundsmith.executor import probe
from roundsmith.executor.admission import Admission
from roundsmith.executor.canaries import Canary, Finding, PromiseBroken
from roundsmith.executor.capabilities import IsolationCheck
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.supervisor import (
    Bystander,
    NotStarted,
    Slot,
    Supervisor,
    SupervisorLost,
    Supervisors,
)
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.runs import Run

log = logging.getLogger(__name__)

_PAUSE_S, _MOST_PAUSE_S = 0.25, 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run was: the tier that holds there, and the image."""

    tier: str
    image: str


class SlotState:
    """One slot: its supervisor, started when first needed and replaced after it was lost or broke a
    promise.

    What a run finds is to be given to `hold`; `settle` is to be called when a row leaves the slot.
    """

    def __init__(
        self,
        slot: Slot,
        supervisors: Supervisors,
        admission: Admission,
        settings: ExecutorSettings,
        quarantined: Counter[str],
    ) -> None:
        """`quarantined` counts supervisors by the promise that they broke."""
        self._slot, self._supervisors, self._admission = slot, supervisors, admission
        self._settings, self._quarantined = settings, quarantined
        self.running: Supervisor | None = None
        self.place: Place
        self.checks: tuple[IsolationCheck, ...]
        """What the first canary of its supervisor saw, and where that is."""
        self._num_failed = 0
        self._canary: Canary

    async def supervisor(self) -> Supervisor:
        """The supervisor, started if there is none. Raises SandboxError when it does not start, or
        where isolation holds less than it must.
        """
        if self.running is not None and not self.running.alive:
            await self._lose(SupervisorLost("the supervisor ended while it was idle"))
        await self._lose_busy()
        if self.running is None:
            self._num_failed += 1
            link = await self._supervisors.open(self._slot)
            started = await Supervisor.on(link, self._slot)
            try:
                seen = await self._admission.admit(started)
            except BaseException:
                await started.close()
                raise
            self._num_failed = 0
            self._canary = Canary(started, seen, self._settings)
            self.checks = seen.checks
            self.place = Place(probe.tier(seen.checks), started.started.image)
            self.running = started
        return self.running

    @property
    def pause_s(self) -> float:
        """How long to leave the slot alone: the longer, the more often its start has failed."""
        return min(_MOST_PAUSE_S, _PAUSE_S * 2**self._num_failed) if self._num_failed else 0.0

    async def run(self, run: Run) -> AsyncGenerator[list[Event], None]:
        """One run in this slot, after a canary where one is due; a supervisor that was lost is
        replaced, for whose loss nothing is to blame that was found there before. Raises
        SandboxError: NotStarted when there is no supervisor.
        """
        if self.running is not None and self._canary.due:
            await self.settle(contended=False)
        try:
            supervisor = await self.supervisor()
        except SandboxError as error:
            raise NotStarted(str(error)) from error
        try:
            await self._meet(run.profile)
            self._canary.began(run)
            async with aclosing(supervisor.run(run)) as batches:
                async for events in batches:
                    yield events
        finally:
            if not supervisor.idle:
                await self._lose(Bystander("the supervisor was lost after it was found"))

    async def _meet(self, profile: str) -> None:
        """The first canary in a profile that this supervisor has not run yet. A profile of which
        nothing can be started says nothing against the others.
        """
        try:
            await self._canary.meet(profile)
        except PromiseBroken as error:
            await self._quarantine(error)
            raise

    async def _quarantine(self, error: SandboxError) -> None:
        assert self.running is not None
        promise = error.promise if isinstance(error, PromiseBroken) else "answers"
        self._quarantined[promise] += 1
        started = self.running.started
        log.error("quarantined %s of %s: %s", started.pid, started.sandbox_id, error)
        self._supervisors.distrust(started)
        await self._lose(error)

    @property
    def owes(self) -> bool:
        """Whether something that was found waits for a canary."""
        return self.running is not None and self._canary.holds

    def hold(self, finding: Finding) -> None:
        """Hands the finding out after the next good canary of the supervisor that it came from, or
        has it asked again.
        """
        if self.running is None:
            finding.again(SupervisorLost("the supervisor was lost after it was found"))
        else:
            self._canary.hold(finding)

    async def settle(self, contended: bool) -> None:
        """A canary, now, unless the slot is `contended` and none is due. What it condemns is ended;
        an old supervisor is too.
        """
        await self._lose_busy()
        if self.running is None or (contended and not self._canary.due):
            return
        try:
            await self._canary.check()
        except SandboxError as error:
            await self._quarantine(error)
        else:
            if self.running.expired:
                await self.close()

    async def _lose_busy(self) -> None:
        """Loses a supervisor that still has a run which nobody reads, because who gave it up was
        interrupted in that: the next run would read what comes of it.
        """
        if self.running is not None and not self.running.idle:
            await self._lose(Bystander("the supervisor was left with a run that was given up"))

    async def _lose(self, error: SandboxError) -> None:
        # What was found is asked again even if closing is interrupted.
        running, self.running = self.running, None
        self._canary.distrust(error)
        if running is not None:
            await running.close()

    async def close(self) -> None:
        """Ends the supervisor, if there is one."""
        if self.running is not None:
            running, self.running = self.running, None
            await running.close()
