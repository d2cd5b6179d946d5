"""One slot: where its runs are, and the supervisor that runs them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from roundsmith.executor.admission import Admission
from roundsmith.executor.supervisor import Slot, Supervisor, Supervisors
from roundsmith.sandbox.runs import Event, Run


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run was: the tier that holds there, and the image."""

    tier: str
    image: str


class SlotState:
    """One slot: its supervisor, started when first needed and replaced after it was lost."""

    def __init__(self, slot: Slot, supervisors: Supervisors, admission: Admission) -> None:
        self._slot, self._supervisors, self._admission = slot, supervisors, admission
        self.running: Supervisor | None = None
        self.place: Place

    async def supervisor(self) -> Supervisor:
        """The supervisor, started if there is none. Raises SandboxError when it does not start, or
        where isolation holds less than it must.
        """
        if self.running is None:
            link = await self._supervisors.open(self._slot)
            started = await Supervisor.on(link, self._slot)
            try:
                tier = await self._admission.tier(started)
            except BaseException:
                await started.close()
                raise
            self.place = Place(tier, started.started.image)
            self.running = started
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
