"""The workers of one item: each takes its jobs, when it is its turn, to a slot."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from roundsmith.errors import SandboxError
from roundsmith.executor.execution import Execution
from roundsmith.executor.jobs import Job
from roundsmith.executor.rows import Row, Stopping
from roundsmith.executor.supervisor import NotStarted
from roundsmith.executor.turn import GaveWay, Turn
from roundsmith.executor.turns import Item, Turns
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.runs import Run
from roundsmith.types import Outcome


async def run_all(
    execution: Execution, turns: Turns, caller: str, rows_at_once: int
) -> AsyncGenerator[list[Outcome], None]:
    """The outcomes of an item of a caller, by batches; leaving the iteration early cancels what
    runs and frees the slots.
    """
    item = turns.begin(caller)
    workers = [
        asyncio.create_task(_Worker(execution, turns, item).work()) for _ in range(rows_at_once)
    ]
    try:
        async with aclosing(execution.outcomes()) as batches:
            async for batch in batches:
                yield batch
    finally:
        for worker in workers:
            worker.cancel()
        # At once: who is cancelled may be cancelled again while it waits.
        execution.abandon()
        try:
            await asyncio.gather(*workers, return_exceptions=True)
        finally:
            turns.end(item)


class _Worker:
    """Runs jobs one after the other, in the same slot as long as nobody else waits for one."""

    def __init__(self, execution: Execution, turns: Turns, item: Item) -> None:
        self._execution = execution
        self._turn = Turn(turns, item)

    async def work(self) -> None:
        try:
            while not self._execution.over:
                job = self._execution.next()
                if job is None:
                    if self._turn.held:  # a canary, at its end, may bring jobs back
                        await self._turn.end()
                    else:
                        await self._execution.change()
                    continue
                if job.attempt > 1:
                    await self._turn.prove()
                await self._run_job(job)
                await self._turn.pause()
        except BaseException as error:
            self._execution.fail(error)
            raise
        finally:
            await self._turn.end()

    async def _run_job(self, job: Job) -> None:
        """Finds what the job asks for; what a sandbox failed on is run again."""
        execution, rules = self._execution, self._execution.rules
        row = Row(job.row, rules, self._start, Stopping(rules, job.num_timeouts))
        left = job.columns
        # Of a row that may stop all is found together: what comes later depends on it.
        found = execution.found(job, left) if rules.stop else None
        while left and not row.stopping.stopped:
            try:
                async with aclosing(row.results(left)) as batches:
                    async for results in batches:
                        place = self._turn.place
                        done, left = left[: len(results)], left[len(results) :]
                        finding = found or execution.found(job, done)
                        finding.known += [
                            (c, (r, place)) for c, r in zip(done, results, strict=True)
                        ]
                        self._turn.confirm(finding)
                        if found is None:
                            finding.give()
            except GaveWay:
                self._turn.confirm(None)
                await self._turn.give_way()
            except SandboxError as error:
                self._turn.confirm(None)
                if found is not None:
                    found.again(error)
                    execution.done(job)
                else:
                    execution.again(job, left, error)
                if isinstance(error, NotStarted) and not execution.patience.over:
                    await self._turn.end()  # the slot is left alone for a while
                return
        if found is not None:
            found.give()
        execution.done(job)

    async def _start(self, run: Run) -> AsyncGenerator[list[Event], None]:
        """A run in the worker's slot. One whose client has much to read waits, and others have the
        slot meanwhile.
        """
        if self._execution.full:
            await self._turn.end()
            await self._execution.room()
        run = run._replace(profile=self._execution.rules.profile)
        async with aclosing(self._turn.run(run)) as batches:
            async for events in batches:
                yield events
