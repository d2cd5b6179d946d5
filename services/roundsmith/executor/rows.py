"""One row of a matrix: a program and its tests, run optimistically in one child, what is in doubt
again alone, each in a fresh child, in an order drawn by the program.

In doubt is what did not pass, and of what passed beside others the share that chance picks. A cell
whose two runs contradict each other shows that state crossed from cell to cell, or that the program
is not the same twice; a forged answer shows an enemy. The child where that was seen is not trusted:
everything that passed in it is run again alone.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import takewhile

from roundsmith.executor.alone import Alone, Result, Start, near, read, run_of
from roundsmith.executor.content import selected, shuffled
from roundsmith.executor.endings import TIMEOUTS, Ending, Unsupported, ending, passed
from roundsmith.executor.matrix import Column, PlannedRow, Rules
from roundsmith.executor.questions import SCRIPT, Question
from roundsmith.sandbox.runs import LOADING
from roundsmith.verdicts import Verdict

_CELLS_A_RUN = 256


class Stopping:
    """Which cells of a row are left out, because the item asks to stop the row early; so many time-
    outs came before.
    """

    def __init__(self, rules: Rules, num_timeouts: int = 0) -> None:
        self._rules, self.num_timeouts = rules, num_timeouts
        self.stopped = False

    def cut(self, results: list[Result], num_later: int) -> list[Result]:
        """The results, in order, up to the one after which the row stops; that one says how many
        cells are left out, the `num_later` that have no result yet among them.
        """
        if not self._rules.stop:
            return results
        for at, result in enumerate(results):
            if self._ends(result.verdict):
                self.stopped = True
                left_out = len(results) - at - 1 + num_later
                return [*results[:at], result._replace(left_out=left_out)]
        return results

    def _ends(self, verdict: Verdict) -> bool:
        self.num_timeouts += verdict in TIMEOUTS
        failed = self._rules.stop_on_failure and verdict is not Verdict.PASS
        return failed or 0 < self._rules.stop_after_timeouts <= self.num_timeouts


@dataclass(slots=True)
class _Shared:
    """What a shared child came to: how many cells it reached, which passed, which are in doubt
    (how they ended, and whether no other came before), how loading failed.
    """

    reached: int = 0
    passed: dict[int, Result] = field(default_factory=dict)
    doubtful: dict[int, tuple[Ending | Unsupported, bool]] = field(default_factory=dict)
    unloadable: Ending | None = None
    slow_load: bool = False

    @property
    def forged(self) -> bool:
        """Whether an answer was forged, repeated or distorted."""
        ends = [end for end, _ in self.doubtful.values() if isinstance(end, Ending)]
        return any(end.verdict is Verdict.TAMPERED for end in ends)


class Row:
    """The execution of one row. `start` starts a run in the slot that the row holds."""

    def __init__(self, row: PlannedRow, rules: Rules, start: Start, stopping: Stopping) -> None:
        self._row, self._rules, self._start, self.stopping = row, rules, start, stopping
        self._alone = Alone(row.program, row.limits, start)

    async def results(self, columns: Sequence[Column]) -> AsyncGenerator[list[Result], None]:
        """The result of each cell in the order of the columns, those of one child at once; nothing
        after the cell at which the row stops.

        Raises SandboxError when the sandbox fails; cells that were not yielded are then undecided,
        and when they are asked for again begin in a fresh child as they did before.
        """
        left = list(columns)
        while left and not self.stopping.stopped:
            decided = await self._decide(left)
            left = left[len(decided) :]
            yield self.stopping.cut(decided, len(left))

    async def _decide(self, columns: list[Column]) -> list[Result]:
        """The results of those first columns that one child comes to."""
        kinds = [column.question.kind for column in columns[:_CELLS_A_RUN]]
        scripts = [at for at, kind in enumerate(kinds) if kind == SCRIPT]
        count = max(scripts[0], 1) if scripts else len(kinds)
        shared = await self._run_shared(columns[:count])
        if shared.unloadable:
            return await self._alone.unloadable(_loaded_alike(columns), shared.unloadable)
        digest, share = self._row.digest, self._rules.rerun_share
        drawn = shared.passed if share else ()
        picked = [at for at in drawn if at and selected(digest, columns[at].digest, share)]
        results = await self._run_again([*shared.doubtful, *picked], columns, shared)
        contradicted = any(
            r.verdict is Verdict.FLAKY and not r.near_limit for r in results.values()
        )
        if contradicted or shared.forged:
            rest = [at for at in shared.passed if at and at not in results]
            results |= await self._run_again(rest, columns, shared)
            results = {at: r._replace(trusted=False) for at, r in (shared.passed | results).items()}
        results = shared.passed | results
        return [results[at] for at in range(shared.reached)]

    async def _run_again(
        self, places: list[int], columns: list[Column], shared: _Shared
    ) -> dict[int, Result]:
        """The results of these cells by place, each alone in a fresh child."""
        results: dict[int, Result] = {}
        if not places:  # as nearly always
            return results
        for at in shuffled(places, self._row.digest):
            slow = shared.slow_load
            if at in shared.doubtful:
                first, fresh = shared.doubtful[at]
            else:
                first, fresh = shared.passed[at].ending, False
                slow = shared.passed[at].near_limit
            result = await self._alone.decide(columns[at].question, first, fresh)
            results[at] = result._replace(near_limit=True) if slow else result
        return results

    async def _run_shared(self, columns: list[Column]) -> _Shared:
        """Runs the cells in one child. A second answer to a question shows at the next one, so that
        one puts the one before in doubt.
        """
        shared, limits = _Shared(), self._row.limits
        questions = [column.question for column in columns]
        request = run_of(self._row.program, limits, questions, limits.cpu_s / 2)
        async with aclosing(self._start(request)) as batches:
            async for events in batches:
                for event in events:
                    if event[0] == LOADING:
                        shared.slow_load = near(event[4], limits)
                        if event[1] != "answer":
                            shared.unloadable = ending(questions[0], event)
                            return shared
                        continue
                    question = questions[event[0]]
                    end = passed(question, event) or await read(question, event)
                    if self._ends_shared(shared, event[0], question, end):
                        return shared
        return shared

    def _ends_shared(
        self, shared: _Shared, at: int, question: Question, end: Ending | Unsupported
    ) -> bool:
        """Takes how a cell of the shared child ended; whether no more are wanted."""
        shared.reached = at + 1
        if isinstance(end, Ending) and end.verdict is Verdict.PASS:
            slow = shared.slow_load or near(end.cpu_s, self._row.limits)
            shared.passed[at] = Result(end, question.judged_at, slow, alone=at == 0)
            return False
        shared.doubtful[at] = end, at == 0
        tampered = isinstance(end, Ending) and end.verdict is Verdict.TAMPERED
        if tampered and (before := shared.passed.pop(at - 1, None)):
            shared.doubtful[at - 1] = before.ending, False
        return self._rules.stop_on_failure


def _loaded_alike(columns: list[Column]) -> list[Question]:
    """The first questions that one loading decides, where it fails: a script is run by that, with
    its own input, and a module that is called into only begins.
    """
    script = columns[0].question.kind == SCRIPT
    questions = (column.question for column in columns)
    return list(takewhile(lambda question: (question.kind == SCRIPT) == script, questions))
