"""One item as it runs: the jobs that are left, what is known already, and the outcomes as canaries
confirm them.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace

from roundsmith.errors import SandboxError
from roundsmith.executor.alone import Result
from roundsmith.executor.endings import Ending
from roundsmith.executor.jobs import Job, Patience
from roundsmith.executor.kept import Claim, Known, Memory
from roundsmith.executor.matrix import Column, Plan, PlannedRow
from roundsmith.executor.rows import Stopping
from roundsmith.executor.slots import Place
from roundsmith.executor.supervisor import Bystander
from roundsmith.executor.tally import Tally
from roundsmith.types import Limits, Outcome
from roundsmith.verdicts import Verdict

_WAITING_OUTCOMES = 1024
_BATCH_OUTCOMES = 64
"""Small ones are handed out together up to so many."""
_DETAIL_CHARACTERS = 2000
_COUNTS_PROCESSES = "T2"
"""The tier at which every place can count processes by run."""


class Execution:
    """What is left of an item. Every cell is handed out once, whatever has to be run again; one
    that no sandbox could run with all the patience is INFRA_ERROR, as if it had been at `nowhere`.
    Without a memory every cell is run.
    """

    def __init__(
        self,
        plan: Plan,
        patience: Patience,
        nowhere: Place,
        memory: Memory | None,
        tally: Tally,
    ) -> None:
        self.rules, self.patience, self._tally = plan.rules, patience, tally
        self._rows: Iterator[PlannedRow] | None = plan.rows
        self._nowhere, self._memory = nowhere, memory
        self._todo: deque[Job] = deque()
        # Jobs that are not done, findings that no canary has confirmed, cells that others run.
        self._num_open = 0
        self._claims: set[Claim] = set()
        self._ready: deque[list[Outcome]] = deque()
        self._num_ready = 0
        self._failure: BaseException | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def outcomes(self) -> AsyncGenerator[list[Outcome], None]:
        """Outcomes as they are confirmed, by batches. Raises what `fail` was told."""
        while True:
            while self._ready:
                batch = self._ready.popleft()
                while self._ready and len(batch) + len(self._ready[0]) <= _BATCH_OUTCOMES:
                    batch += self._ready.popleft()
                self._num_ready -= len(batch)
                self._wake()
                yield batch
            if self._failure is not None:
                raise self._failure
            if self.over:
                return
            await self.change()

    @property
    def over(self) -> bool:
        """Whether every cell is confirmed; until then any may come again."""
        return self._rows is None and not self._num_open

    @property
    def full(self) -> bool:
        """Whether the client has much to read before more is run for it."""
        return self._num_ready > _WAITING_OUTCOMES

    async def room(self) -> None:
        """Waits until it has read."""
        while self.full:
            await self.change()

    async def change(self) -> None:
        """Waits until there is a job, or an outcome, or until it is over."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def next(self) -> Job | None:
        """The next job, None when there is none now, or the client has much to read first."""
        while not self.full and (job := self._waiting_job()) is not None:
            if self._memory is None or (job := self._claimed(job, self._memory)):
                return job
        return None

    def _waiting_job(self) -> Job | None:
        if self._todo:
            return self._todo.popleft()
        row = None if self._rows is None else next(self._rows, None)
        if row is None:
            self._rows = None
            self._wake()
            return None
        self._num_open += 1
        return Job(row, list(row.columns))

    def _claimed(self, job: Job, memory: Memory) -> Job | None:
        """What of a job has to be run; what is known is handed out, and what runs for another is
        looked at again when that one is done.
        """
        claim = memory.claim(job.row, job.columns)
        stopping = Stopping(self.rules, job.num_timeouts)
        if claim.found:
            results = [result for _, (result, _) in claim.found]
            cut = stopping.cut(results, len(job.columns) - len(results))
            self._tally.num_known += len(cut)
            found = zip(cut, claim.found, strict=False)
            self._deliver(job.row, [(c, (result, place)) for result, (c, (_, place)) in found])
        later = Job(job.row, claim.theirs, stopping.num_timeouts, job.attempt)
        if claim.theirs_claim is not None and not stopping.stopped:
            self._num_open += 1
            claim.theirs_claim.when_settled.append(lambda: self._put(later))
        if claim.mine and not stopping.stopped:
            self._claims.add(claim)
            claim.when_settled.append(lambda: self._claims.discard(claim))
            return replace(job, columns=claim.mine, claim=claim, num_timeouts=stopping.num_timeouts)
        memory.settle(claim, claim.mine, ())
        self._close()
        return None

    def found(self, job: Job, columns: list[Column]) -> "Found":
        """What is found of these cells of a job, which count as the finding's from now on."""
        self._num_open += 1
        return Found(self, job, columns)

    def done(self, job: Job) -> None:
        """The job has found all that it will find."""
        self._close()

    def again(self, job: Job, columns: list[Column], error: SandboxError) -> None:
        """Cells of a job or a finding that was open have to be run again."""
        self._settle(job, columns, ())
        self._tally.retries["sandbox"] += len(columns)
        later = self.patience.again(job, columns, error)
        if later is None:
            failed = [(c, (_infra_error(c, str(error)), self._nowhere)) for c in columns]
            self._deliver(job.row, failed)
            self._close()
        elif self._todo and self._todo[-1].joins(later) and not self.rules.stop:
            self._todo[-1].join(columns)
            self._close()
        else:
            self._put(later)

    def give(self, found: "Found") -> None:
        """What was found is confirmed."""
        self._tally.confirmed_at = time.monotonic()
        self._settle(found.job, found.columns, found.known)
        self._tally.cpu_s += sum(result.ending.cpu_s for _, (result, _) in found.known)
        self._deliver(found.job.row, found.known)
        self._close()

    def fail(self, error: BaseException) -> None:
        """The item can not go on."""
        self._failure = error
        self._wake()

    def abandon(self) -> None:
        """Nobody wants the outcomes any more; who waits for cells of this item runs them."""
        for claim in tuple(self._claims):
            if self._memory is not None:
                self._memory.settle(claim, claim.mine, ())

    def _settle(self, job: Job, columns: Sequence[Column], known: Sequence[Known]) -> None:
        if self._memory is not None and job.claim is not None:
            self._memory.settle(job.claim, columns, known)

    def _put(self, job: Job) -> None:
        self._todo.append(job)
        self._wake()

    def _close(self) -> None:
        self._num_open -= 1
        self._wake()

    def _deliver(self, row: PlannedRow, known: Sequence[Known]) -> None:
        for code_id in row.code_ids if known else ():
            batch = [
                _outcome(code_id, test_id, result, place, row.limits)
                for column, (result, place) in known
                for test_id in column.test_ids
            ]
            self._tally.outcomes.update((o.verdict.value, o.tier) for o in batch)
            self._num_ready += len(batch)
            self._ready.append(batch)

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


class Found:
    """Results of a job, until it is known of every sandbox that they came from whether it kept its
    promises; `columns` are what has to be run again if one did not.
    """

    def __init__(self, execution: Execution, job: Job, columns: list[Column]) -> None:
        self._execution, self.job, self.columns = execution, job, columns
        self.known: list[Known] = []
        self._error: SandboxError | None = None
        self._num_open = 1

    def wait(self) -> None:
        """One more `give` or `again` will come."""
        self._num_open += 1

    def give(self) -> None:
        """A canary was good, or all is known."""
        self._num_open -= 1
        if self._num_open:
            return
        if self._error is None:
            self._execution.give(self)
        else:
            self._execution.again(self.job, self.columns, self._error)

    def again(self, error: SandboxError) -> None:
        """A canary was not, or the sandbox failed; what else was run is only to blame alone."""
        if self._error is None or isinstance(self._error, Bystander):
            self._error = error
        self.give()


def _infra_error(column: Column, why: str) -> Result:
    end = Ending(Verdict.INFRA_ERROR, why, 0.0, 0.0)
    return Result(end, column.question.judged_at, near_limit=False)


def _outcome(code_id: str, test_id: str, result: Result, place: Place, limits: Limits) -> Outcome:
    end = result.ending
    return Outcome(
        code_id=code_id,
        test_id=test_id,
        verdict=end.verdict,
        judge=result.judged_at,
        tier=place.tier,
        image=place.image,
        near_limit=result.near_limit or _refused_here(end.verdict, place.tier, limits),
        # A program's own words may hold half characters, which no message can carry.
        detail=end.detail and end.detail[:_DETAIL_CHARACTERS].encode("utf-8", "replace").decode(),
        cpu_s=end.cpu_s,
        wall_s=end.wall_s,
        phase=end.phase,
        left_out=result.left_out,
    )


def _refused_here(verdict: Verdict, tier: str, limits: Limits) -> bool:
    """Whether the place may have refused processes that the run's limits allow, because it can not
    count them by run: elsewhere the program may have passed.
    """
    return verdict is Verdict.PROCESS_LIMIT and limits.processes > 1 and tier != _COUNTS_PROCESSES
