"""Chains that go in step, as the paper's release has them: nobody draws codes before all are
judged, and nobody is judged before all codes are drawn.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from roundsmith.recipes.session import Session
from roundsmith.types import Outcome, Sample, Sampling, Task

Phase = tuple[str, int]
"""What is done, and in which iteration."""


@dataclass
class Phases:
    """Lets nobody into a phase before all are there."""

    num_chains: int
    _last: dict[str, Phase] = field(default_factory=dict)
    """Where each task's chain has come to."""
    _there: defaultdict[Phase, set[str]] = field(default_factory=lambda: defaultdict(set))
    _open: defaultdict[Phase, asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )

    async def enter(self, phase: Phase, task: Task) -> None:
        """Returns when all chains have come to this phase; at once, when one comes again."""
        self._last[task.task_id] = phase
        self._there[phase].add(task.task_id)
        if len(self._there[phase]) == self.num_chains:
            self._open[phase].set()
        await self._open[phase].wait()

    def step(self, task: Task) -> int:
        """The iteration that a task's chain is in."""
        return self._last[task.task_id][1]


@dataclass(frozen=True)
class InStep(Session):
    """A session whose chains go through GiFT's phases together."""

    phases: Phases = field(default_factory=lambda: Phases(1))

    async def write_codes(
        self, task: Task, description: str, sampling: Sampling, *, step: int, **how: Any
    ) -> tuple[Sample, ...]:
        """The same, when every chain has its description."""
        await self.phases.enter(("codes", step), task)
        return await super().write_codes(task, description, sampling, step=step, **how)

    async def verify(self, task: Task, codes: Sequence[Sample], **how: Any) -> tuple[Outcome, ...]:
        """The same, when every chain has its codes, or none because its description was too
        long.
        """
        await self.phases.enter(("verify", self.phases.step(task)), task)
        return await super().verify(task, codes, **how)

    async def write_description(
        self, task: Task, code: str, sampling: Sampling, *, step: int, parents: tuple[str, ...]
    ) -> Sample | None:
        """The same, when every chain has its verdicts."""
        await self.phases.enter(("describe", step), task)
        return await super().write_description(task, code, sampling, step=step, parents=parents)
