"""One worker's turn: the slot that it holds, and on which supervisors what it finds there rests."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from roundsmith.errors import SandboxError
from roundsmith.executor.canaries import Finding
from roundsmith.executor.slots import Place, SlotState
from roundsmith.executor.supervisor import Supervisor
from roundsmith.executor.turns import Item, Turns
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.runs import Run

_SHORTEST_S, _FIRST_S = 0.05, 1.0


class GaveWay(Exception):
    """A run of many cells was ended, because its turn is over and another caller waits. What it
    came to does not count: it begins again, in a turn twice as long.
    """


class Resting(Finding, Protocol):
    """A finding that may rest on several runs."""

    def wait(self) -> None:
        """One more `give` or `again` will come."""


class Evidence:
    """Runs of one supervisor since a canary: all findings that rest on them are told by the next.

    A cell that is run again rests on runs that may have met different supervisors, when one was
    replaced or the slot was given to others in between.
    """

    def __init__(self, supervisor: Supervisor | None) -> None:
        self.supervisor = supervisor
        self.open = True
        self._error: SandboxError | None = None
        self._findings: list[Resting] = []

    def attach(self, finding: Resting) -> None:
        """The finding rests on these runs too."""
        if self.open:
            finding.wait()
            self._findings.append(finding)
        elif self._error is not None:
            finding.wait()
            finding.again(self._error)

    def give(self) -> None:
        """The canary was good."""
        self.open = False
        for finding in self._findings:
            finding.give()

    def again(self, error: SandboxError) -> None:
        """It was not, or the supervisor was lost."""
        self.open, self._error = False, error
        for finding in self._findings:
            finding.again(error)


class Turn:
    """What a worker holds: a slot, given up between runs when its time is over and others wait."""

    def __init__(self, turns: Turns, item: Item) -> None:
        self._turns, self._item = turns, item
        self._slot: SlotState | None = None
        self._since, self._longest_s = 0.0, _FIRST_S
        self._evidence: list[Evidence] = []
        self.place: Place
        """Where the last run was."""

    async def run(self, run: Run) -> AsyncGenerator[list[Event], None]:
        """One run. Raises GaveWay from one of several cells that must end for another caller."""
        if self._turns.anyone_waits and self._over:
            await self.end()
        slot = await self._take()
        tally, since = self._turns.tally, time.monotonic()
        tally.runs["row" if run.later_cpu_s else "alone"] += 1
        try:
            async with aclosing(slot.run(run)) as batches:
                async for events in batches:
                    self.place = slot.place
                    yield events
                    if len(run.cells) > 1 and self._over and self._turns.others_wait(self._item):
                        raise GaveWay
        finally:
            tally.durations.add(time.monotonic() - since)
            self._rest_on(slot)

    async def prove(self) -> None:
        """Has a canary run before the next run, for one that met a weak sandbox before."""
        await (await self._take()).settle(contended=False)

    async def _take(self) -> SlotState:
        if self._slot is None:
            self._slot = await self._turns.take(self._item)
            self._since = time.monotonic()
        return self._slot

    def _rest_on(self, slot: SlotState) -> None:
        last = self._evidence[-1] if self._evidence else None
        if last is None or not last.open or last.supervisor is not slot.running:
            evidence = Evidence(slot.running)
            self._evidence.append(evidence)
            slot.hold(evidence)

    @property
    def held(self) -> bool:
        """Whether it has a slot."""
        return self._slot is not None

    @property
    def _over(self) -> bool:
        return time.monotonic() - self._since > self._longest_s

    def confirm(self, finding: Resting | None) -> None:
        """Has a finding that rests on the runs since the last call told by their canaries; without
        one nothing is made of them.
        """
        evidence, self._evidence = self._evidence, []
        if finding is not None:
            for runs in evidence:
                runs.attach(finding)

    async def pause(self) -> None:
        """Between rows: ends the turn if others wait, and it was long enough for its canary."""
        if self._turns.anyone_waits and time.monotonic() - self._since > _SHORTEST_S:
            await self.end()

    async def give_way(self) -> None:
        """Ends the turn because of a run that was too long for it; the next one may be longer."""
        await self.end()
        self._longest_s *= 2
        self._turns.tally.retries["gave_way"] += 1

    async def end(self) -> None:
        """Gives the slot back, where it has one. What was found there is confirmed first, unless
        another item of the same caller waits: nothing waits for a canary while another caller has
        the slot.
        """
        if self._slot is None:
            return
        slot, self._slot = self._slot, None
        own_wait = self._turns.anyone_waits and not self._turns.others_wait(self._item)
        try:
            await slot.settle(contended=own_wait)
        finally:
            self._turns.give_back(slot, self._item, time.monotonic() - self._since)
