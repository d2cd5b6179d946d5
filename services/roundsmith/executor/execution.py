"""One item as it runs: the jobs that are left, and the outcomes as canaries confirm them."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from roundsmith.errors import SandboxError
from roundsmith.executor.matrix import PlannedRow, infra_error
from roundsmith.executor.questions import Question
from roundsmith.executor.rows import Result
from roundsmith.executor.slots import Place
from roundsmith.types import Outcome

_WAITING_OUTCOMES = 1024
_DETAIL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Job:
    """Questions of one row, by test_id, that are to be run, for the how manieth time."""

    row: PlannedRow
    questions: dict[str, Question]
    attempt: int = 1


class Execution:
    """What is left of an item. Every cell is handed out once, whatever has to be run again; one
    that no sandbox could run in `attempts` jobs is INFRA_ERROR, as if it had been at `nowhere`.
    """

    def __init__(self, rows: Sequence[PlannedRow], attempts: int, nowhere: Place) -> None:
        self._todo = deque(Job(row, {q.test.test_id: q for q in row.questions}) for row in rows)
        self._attempts, self._nowhere = attempts, nowhere
        # Jobs that are not done, and findings that no canary has confirmed.
        self._num_open = len(rows)
        self._ready: deque[Outcome] = deque()
        self._failure: BaseException | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Each outcome as it is confirmed. Raises what `fail` was told."""
        while True:
            while self._ready:
                yield self._ready.popleft()
                self._wake()
            if self._failure is not None:
                raise self._failure
            if not self._num_open:
                return
            await self._change()

    async def next(self) -> Job | None:
        """The next job; None when every cell is confirmed, for until then any may come again."""
        while self._num_open and not self._todo:
            await self._change()
        return self._todo.popleft() if self._todo else None

    @property
    def full(self) -> bool:
        """Whether the client has much to read before more is run for it."""
        return len(self._ready) > _WAITING_OUTCOMES

    async def room(self) -> None:
        """Waits until it has read."""
        while self.full:
            await self._change()

    def found(self, job: Job, result: Result, place: Place) -> "Found":
        """A result that waits for a canary; its question is no longer the job's."""
        self._num_open += 1
        question = job.questions.pop(result.question.test.test_id)
        return Found(self, job, question, result, place)

    def done(self, job: Job) -> None:
        """The job has found all that it will find."""
        self._num_open -= 1
        self._wake()

    def again(self, job: Job, questions: dict[str, Question], error: SandboxError) -> None:
        """Questions of a job or a finding that was open have to be run again."""
        last = self._todo[-1] if self._todo else job
        if job.attempt >= self._attempts:
            failed = [infra_error(question, str(error)) for question in questions.values()]
            self._ready += [_outcome(job.row, result, self._nowhere) for result in failed]
            self._num_open -= 1
        elif last.row is job.row and last.attempt == job.attempt + 1:
            last.questions.update(questions)
            self._num_open -= 1
        else:
            self._todo.append(Job(job.row, questions, job.attempt + 1))
        self._wake()

    def give(self, outcome: Outcome) -> None:
        """An outcome is confirmed."""
        self._num_open -= 1
        self._ready.append(outcome)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """The item can not go on."""
        self._failure = error
        self._wake()

    async def _change(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a job, until it is known whether its sandbox kept its promises."""

    execution: Execution = field(repr=False)
    job: Job
    question: Question
    """As it was asked first."""
    result: Result
    place: Place

    def give(self) -> None:
        """Hands the outcome out."""
        self.execution.give(_outcome(self.job.row, self.result, self.place))

    def again(self, error: SandboxError) -> None:
        """Has the question run again."""
        self.execution.again(self.job, {self.question.test.test_id: self.question}, error)


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
        phase=end.phase,
    )
