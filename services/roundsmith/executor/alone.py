"""One cell alone in a fresh child, which decides where a shared child left doubt.

Another verdict than before is FLAKY, unless the first one was a matter of resources, which earlier
cells may have used up. A question that met a fresh child had twice the CPU limit already, so its
CPU_TIMEOUT stands.

Wall time depends on who else uses the machine, so it decides nothing alone: what the wall limit
ended is run again, what it ended twice is marked `near_limit`, and no other outcome depends on it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple

from roundsmith.executor.endings import RESOURCES, TIMEOUTS, Ending, Unsupported, ending
from roundsmith.executor.questions import SCRIPT, Question, beside, inside
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.runs import LOADING, Run
from roundsmith.types import JudgedAt, Limits, Program
from roundsmith.verdicts import Verdict

# Comparing more than this many bytes is done beside the event loop.
_LARGE_ANSWER = 2**15

Start = Callable[[Run], AsyncGenerator[list[Event], None]]


class Result(NamedTuple):
    """One cell: how it ended, where that was judged, and whether it was near a limit."""

    ending: Ending
    judged_at: JudgedAt
    near_limit: bool
    alone: bool = True
    """Whether it rests on a run where no other cell came before."""
    trusted: bool = True
    """Whether nothing showed that, in its row, one cell may change what comes of another."""
    left_out: int = 0
    """How many cells of the row are left out after it."""

    @property
    def verdict(self) -> Verdict:
        return self.ending.verdict


class Alone:
    """Runs cells of one program alone. `start` starts a run in the slot that the row holds."""

    def __init__(self, program: Program, limits: Limits, start: Start) -> None:
        self._program, self._limits, self._start = program, limits, start

    async def unloadable(self, questions: list[Question], first: Ending) -> list[Result]:
        """A program that does not load fails every cell alike; loading is tried twice unless it ran
        out of CPU time. One that only ran out of wall time and loads then is asked cell by cell.
        """
        end = first
        if first.verdict is not Verdict.CPU_TIMEOUT:
            end, _ = await self._run(questions[0], loading_only=True)
            if first.verdict is Verdict.WALL_TIMEOUT and end.verdict is Verdict.PASS:
                return [await self._again(question, first) for question in questions]
            end = _loaded_twice(first, end)
        return [Result(end, question.judged_at, self._near_end(end)) for question in questions]

    async def decide(self, question: Question, first: Ending | Unsupported, fresh: bool) -> Result:
        """The cell that ended so in a shared child, `fresh` when no other came before it there."""
        if isinstance(first, Unsupported):
            return await self._anew(
                inside(question.test) if first.inside else beside(question.test)
            )
        if fresh and first.verdict is Verdict.CPU_TIMEOUT:
            return Result(first, question.judged_at, False)
        return await self._again(question, first)

    async def _anew(self, question: Question) -> Result:
        """For a question that was put in another way before: alone, twice when it does not pass."""
        try:
            first, near = await self._run(question)
        except Unsupported:
            return await self._anew(inside(question.test))
        if first.verdict in (Verdict.PASS, Verdict.CPU_TIMEOUT):
            return Result(first, question.judged_at, near)
        return await self._again(question, first)

    async def _again(self, question: Question, first: Ending) -> Result:
        try:
            end, near = await self._run(question)
            if end.verdict is Verdict.WALL_TIMEOUT and first.verdict is not end.verdict:
                end, near = await self._run(question)
        except Unsupported as error:
            return await self.decide(question, error, True)
        hurried = first.verdict is Verdict.CPU_TIMEOUT and end.verdict not in TIMEOUTS
        return Result(_compared(first, end), question.judged_at, near or hurried)

    async def _run(self, question: Question, loading_only: bool = False) -> tuple[Ending, bool]:
        """One question in a fresh child with twice the limit; whether it ended near the limit.
        Raises Unsupported.
        """
        slow = False
        asked = [] if loading_only and question.kind != SCRIPT else [question]
        request = run_of(self._program, self._limits, asked, 0.0)
        async with aclosing(self._start(request)) as batches:
            async for event in (event async for events in batches for event in events):
                if event[0] == LOADING:
                    slow = near(event[4], self._limits)
                    if event[1] == "answer" and not loading_only:
                        continue
                end = await read(question, event)
                if isinstance(end, Unsupported):
                    raise end
                return end, slow or self._near_end(end)
        raise AssertionError("a run ended without an event")

    def _near_end(self, end: Ending) -> bool:
        if end.oversized:
            return True
        if end.verdict in TIMEOUTS:
            return end.verdict is Verdict.WALL_TIMEOUT
        return near(end.cpu_s, self._limits)


def run_of(program: Program, limits: Limits, questions: list[Question], later_cpu_s: float) -> Run:
    """The run that asks these questions of a fresh child, each but the first within `later_cpu_s`
    seconds of CPU time.
    """
    script = bool(questions) and questions[0].kind == SCRIPT
    return Run(
        name="__main__" if script else "solution",
        setup=program.setup,
        source=program.source,
        stdin=questions[0].stdin if script else b"",
        cells=tuple((question.kind, question.body) for question in questions),
        fresh_cpu_s=2 * limits.cpu_s,
        later_cpu_s=later_cpu_s,
        wall_factor=limits.wall_factor,
        memory_bytes=limits.memory_bytes,
        output_bytes=max(
            limits.output_bytes, *(question.output_bytes for question in questions), 0
        ),
        file_bytes=limits.file_bytes,
        processes=limits.processes,
    )


async def read(question: Question, event: Event) -> Ending | Unsupported:
    """How the cell of an event ended, or that it must be asked in another way."""
    try:
        if len(event[3]) > _LARGE_ANSWER:
            return await asyncio.to_thread(ending, question, event)
        return ending(question, event)
    except Unsupported as error:
        return error


def near(cpu_s: float, limits: Limits) -> bool:
    """Whether so much CPU time is near the limit: it may not repeat."""
    return cpu_s > limits.cpu_s / 2


def _compared(first: Ending, again: Ending) -> Ending:
    """The verdict of two runs of one cell: the second one's, FLAKY where they contradict each
    other. Of a program that forged an answer once, no cell where it did passes.
    """
    if first.verdict is again.verdict or first.verdict in RESOURCES:
        return again
    tampered = Verdict.TAMPERED in (first.verdict, again.verdict)
    if tampered and again.verdict is not Verdict.PASS:
        return again
    return _flaky(first, again)


def _loaded_twice(first: Ending, again: Ending) -> Ending:
    """The verdict of a program whose first loading failed. No cell has run, so it is never PASS."""
    if again.verdict is not Verdict.PASS:
        return _compared(first, again)
    if first.verdict is Verdict.TAMPERED:
        return first
    return _flaky(first, again._replace(detail="it loaded"))


def _flaky(first: Ending, again: Ending) -> Ending:
    detail = f"first {first.verdict} ({first.detail}), then {again.verdict} ({again.detail})"
    return again._replace(verdict=Verdict.FLAKY, detail=detail)
