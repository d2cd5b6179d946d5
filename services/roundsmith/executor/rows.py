"""One row of a matrix: a program and its questions, run optimistically in one child, doubtful cells
again alone.

What passed in the shared child stands. What did not is run again in a fresh child, and that run
decides: another verdict than before is FLAKY, unless the first one was a matter of resources, which
earlier cells may have used up. A question that met a fresh child had twice the CPU limit already,
so its CPU_TIMEOUT stands.

Wall time depends on who else uses the machine, so it decides nothing alone: what the wall limit
ended is run again, what it ended twice is marked `near_limit`, and no other outcome depends on it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from roundsmith.executor.endings import RESOURCES, TIMEOUTS, Ending, Unsupported, ending
from roundsmith.executor.questions import SCRIPT, Question, beside, inside
from roundsmith.sandbox.runs import LOADING, Event, Run
from roundsmith.types import Limits, Program
from roundsmith.verdicts import Verdict

_CELLS_A_RUN = 256
# Comparing more than this many bytes is done beside the event loop.
_LARGE_ANSWER = 2**15

Start = Callable[[Run], AsyncGenerator[Event, None]]


@dataclass(frozen=True, slots=True)
class Result:
    """One cell: its question, how it ended, and whether that was near a limit."""

    question: Question
    ending: Ending
    near_limit: bool

    @property
    def passed(self) -> bool:
        return self.ending.verdict is Verdict.PASS


@dataclass(slots=True)
class _Shared:
    """What a shared run came to: how many cells it reached, which of them are in doubt, how loading
    failed.
    """

    reached: int = 0
    doubtful: list[tuple[Question, Ending | Unsupported, bool]] = field(default_factory=list)
    unloadable: Ending | None = None
    slow_load: bool = False


class Row:
    """The execution of one row. `start` starts a run in the slot that the row holds."""

    def __init__(
        self, program: Program, limits: Limits, stop_on_failure: bool, start: Start
    ) -> None:
        self._program, self._limits, self._stop, self._start = (
            program,
            limits,
            stop_on_failure,
            start,
        )

    async def results(self, questions: Sequence[Question]) -> AsyncGenerator[Result, None]:
        """Every cell once; where the row stops on failure, nothing after the first cell that is not
        PASS.

        Raises SandboxError when the sandbox fails; cells that were not yielded are then undecided.
        """
        pending = list(questions)
        while pending:
            shared = _Shared()
            async with aclosing(self._run_shared(pending[:_CELLS_A_RUN], shared)) as passed:
                async for result in passed:
                    yield result
            if shared.unloadable:
                async with aclosing(self._unloadable(pending, shared.unloadable)) as decided:
                    async for result in decided:
                        yield result
                        if self._stop and not result.passed:
                            return
                return
            for question, first, fresh in shared.doubtful:
                result = await self._decide(question, first, fresh)
                yield replace(result, near_limit=result.near_limit or shared.slow_load)
                if self._stop and not result.passed:
                    return
            pending = pending[shared.reached :]

    async def _run_shared(
        self, questions: list[Question], shared: _Shared
    ) -> AsyncGenerator[Result, None]:
        """Yields what passes, one late, because a second answer to a question shows at the next
        one.
        """
        scripts = [at for at, question in enumerate(questions) if question.kind == SCRIPT]
        questions = questions[: max(scripts[0], 1)] if scripts else questions
        held: Result | None = None
        async with aclosing(
            self._start(self._request(questions, self._limits.cpu_s / 2))
        ) as events:
            async for event in events:
                if event[0] == LOADING:
                    shared.slow_load = self._near(event[4])
                    if event[1] != "answer":
                        shared.unloadable = ending(questions[0], event)
                        return
                    continue
                shared.reached = event[0] + 1
                question = questions[event[0]]
                end = await _read(question, event)
                if held and isinstance(end, Ending) and end.verdict is Verdict.TAMPERED:
                    shared.doubtful.append((held.question, held.ending, False))
                elif held:
                    yield held
                held = None
                if isinstance(end, Ending) and end.verdict is Verdict.PASS:
                    held = Result(question, end, shared.slow_load or self._near(end.cpu_s))
                    continue
                shared.doubtful.append((question, end, event[0] == 0))
                if self._stop:
                    break
        if held:
            yield held

    async def _unloadable(
        self, questions: list[Question], first: Ending
    ) -> AsyncGenerator[Result, None]:
        """A program that does not load fails every cell alike; loading is tried twice unless it ran
        out of CPU time. One that only ran out of wall time and loads then is asked cell by cell.
        """
        end = first
        if first.verdict is not Verdict.CPU_TIMEOUT:
            end, _ = await self._alone(questions[0], loading_only=True)
            if first.verdict is Verdict.WALL_TIMEOUT and end.verdict is Verdict.PASS:
                for question in questions:
                    yield await self._decide_again(question, first)
                return
            end = _loaded_twice(first, end)
        for question in questions:
            yield Result(question, end, self._near_end(end))

    async def _decide(self, question: Question, first: Ending | Unsupported, fresh: bool) -> Result:
        if isinstance(first, Unsupported):
            return await self._decide_anew(
                inside(question.test) if first.inside else beside(question.test)
            )
        if fresh and first.verdict is Verdict.CPU_TIMEOUT:
            return Result(question, first, False)
        return await self._decide_again(question, first)

    async def _decide_anew(self, question: Question) -> Result:
        """For a question that was put in another way before: alone, twice when it does not pass."""
        try:
            first, near = await self._alone(question)
        except Unsupported:
            return await self._decide_anew(inside(question.test))
        if first.verdict in (Verdict.PASS, Verdict.CPU_TIMEOUT):
            return Result(question, first, near)
        return await self._decide_again(question, first)

    async def _decide_again(self, question: Question, first: Ending) -> Result:
        try:
            end, near = await self._alone(question)
            if end.verdict is Verdict.WALL_TIMEOUT and first.verdict is not end.verdict:
                end, near = await self._alone(question)
        except Unsupported as error:
            return await self._decide(question, error, True)
        hurried = first.verdict is Verdict.CPU_TIMEOUT and end.verdict not in TIMEOUTS
        return Result(question, _compared(first, end), near or hurried)

    async def _alone(self, question: Question, loading_only: bool = False) -> tuple[Ending, bool]:
        """One question in a fresh child with twice the limit; whether it ended near the limit.
        Raises Unsupported.
        """
        slow = False
        request = self._request([] if loading_only and question.kind != SCRIPT else [question], 0.0)
        async with aclosing(self._start(request)) as events:
            async for event in events:
                if event[0] == LOADING:
                    slow = self._near(event[4])
                    if event[1] == "answer" and not loading_only:
                        continue
                end = await _read(question, event)
                if isinstance(end, Unsupported):
                    raise end
                return end, slow or self._near_end(end)
        raise AssertionError("a run ended without an event")

    def _request(self, questions: list[Question], later_cpu_s: float) -> Run:
        limits = self._limits
        script = bool(questions) and questions[0].kind == SCRIPT
        return Run(
            name="__main__" if script else "solution",
            setup=self._program.setup,
            source=self._program.source,
            stdin=questions[0].stdin if script else b"",
            cells=tuple((question.kind, question.body) for question in questions),
            fresh_cpu_s=2 * limits.cpu_s,
            later_cpu_s=later_cpu_s,
            wall_factor=limits.wall_factor,
            memory_bytes=limits.memory_bytes,
            output_bytes=limits.output_bytes,
            file_bytes=limits.file_bytes,
            processes=limits.processes,
        )

    def _near_end(self, end: Ending) -> bool:
        if end.verdict in TIMEOUTS:
            return end.verdict is Verdict.WALL_TIMEOUT
        return self._near(end.cpu_s)

    def _near(self, cpu_s: float) -> bool:
        return cpu_s > self._limits.cpu_s / 2


async def _read(question: Question, event: Event) -> Ending | Unsupported:
    try:
        if len(event[3]) > _LARGE_ANSWER:
            return await asyncio.to_thread(ending, question, event)
        return ending(question, event)
    except Unsupported as error:
        return error


def _compared(first: Ending, again: Ending) -> Ending:
    """The verdict of two runs of one cell: the second one's, FLAKY where they contradict each
    other.
    """
    if (
        first.verdict is again.verdict
        or first.verdict in RESOURCES
        or first.verdict is Verdict.TAMPERED
    ):
        return again
    if again.verdict is Verdict.TAMPERED:
        return again
    return _flaky(first, again)


def _loaded_twice(first: Ending, again: Ending) -> Ending:
    """The verdict of a program whose first loading failed. No cell has run, so it is never PASS."""
    if again.verdict is not Verdict.PASS:
        return _compared(first, again)
    if first.verdict is Verdict.TAMPERED:
        return first
    return _flaky(first, replace(again, detail="it loaded"))


def _flaky(first: Ending, again: Ending) -> Ending:
    detail = f"first {first.verdict} ({first.detail}), then {again.verdict} ({again.detail})"
    return replace(again, verdict=Verdict.FLAKY, detail=detail)
