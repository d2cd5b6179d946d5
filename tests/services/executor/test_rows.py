"""Which of a cell's runs decides, told by what the sandbox reports; wall time decides nothing."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from roundsmith.executor.alone import Result
from roundsmith.executor.content import digest_of_test, selected
from roundsmith.executor.matrix import Column, PlannedRow, Rules
from roundsmith.executor.questions import question
from roundsmith.executor.rows import Row, Stopping
from roundsmith.sandbox.calls import unpack_calls
from roundsmith.sandbox.codec import encode
from roundsmith.sandbox.events import Event
from roundsmith.sandbox.runs import LOADING, Run
from roundsmith.types import CallTest, Limits, Program
from roundsmith.verdicts import Label, Verdict

LIMITS = Limits(cpu_s=1.0, wall_factor=4.0)
NONE_PICKED = Rules(rerun_share=0.0)
LOADED: Event = (LOADING, "answer", "", b"", 0.01, 0.01)


def answer(at: int, value: int, cpu_s: float = 0.01, wall_s: float = 0.01) -> Event:
    return at, "answer", "", encode(value), cpu_s, wall_s


def wall(at: int) -> Event:
    return at, "wall", "more than 8 s of wall time", b"", 0.01, 8.0


def cpu(at: int) -> Event:
    return at, "cpu", "more than 0.5 s of CPU time", b"", 0.5, 0.5


def memory(at: int) -> Event:
    return at, "failure", "", encode(("MEMORY", "")), 0.01, 0.01


def decided(runs: Sequence[Sequence[Event]], tests: int = 1) -> list[tuple[Verdict, bool]]:
    """Verdict and near_limit of each cell, by test, when the runs report this; all must be used."""
    left = iter(runs)
    found = results(lambda run: next(left), tests)
    assert next(left, None) is None, "a run was not needed"
    return [(result.verdict, result.near_limit) for result in found]


def results(
    report: Callable[[Run], Sequence[Event]], tests: int, rules: Rules = NONE_PICKED
) -> list[Result]:
    """The results of a row of so many tests, when each run reports this."""

    async def start(run: Run) -> AsyncGenerator[list[Event], None]:
        for event in report(run):
            yield [event]

    async def collect() -> list[Result]:
        asked = [CallTest(f"t{at}", "f", (at,), at) for at in range(tests)]
        columns = [Column(question(test), digest_of_test(test), (test.test_id,)) for test in asked]
        row = Row(
            PlannedRow(Program("c", ""), b"c" * 32, ("c",), tuple(columns), LIMITS),
            rules,
            start,
            Stopping(rules),
        )
        return [result async for batch in row.results(columns) for result in batch]

    return asyncio.run(collect())


def asked(run: Run) -> list[int]:
    """Which tests a run asks."""
    return [unpack_calls(body)[1][0] for _, body in run.cells]


@pytest.mark.parametrize(
    ("runs", "verdict", "near"),
    [
        ([[LOADED, answer(0, 0, 0.4, 7.9)]], Verdict.PASS, False),
        ([[LOADED, answer(0, 0, 0.6, 0.6)]], Verdict.PASS, True),
        ([[(LOADING, "answer", "", b"", 0.4, 7.9), answer(0, 0)]], Verdict.PASS, False),
        ([[(LOADING, "answer", "", b"", 0.6, 0.6), answer(0, 0)]], Verdict.PASS, True),
        ([[LOADED, wall(0)], [LOADED, answer(0, 0)]], Verdict.PASS, False),
        ([[LOADED, wall(0)], [LOADED, wall(0)]], Verdict.WALL_TIMEOUT, True),
        ([[LOADED, cpu(0)]], Verdict.CPU_TIMEOUT, False),
        ([[LOADED, answer(0, 9)], [LOADED, answer(0, 9, 0.4, 7.9)]], Verdict.FAIL, False),
        (
            [[LOADED, answer(0, 9)], [LOADED, wall(0)], [LOADED, answer(0, 9)]],
            Verdict.FAIL,
            False,
        ),
        ([[LOADED, answer(0, 9)], [LOADED, answer(0, 0)]], Verdict.FLAKY, False),
    ],
)
def test_only_cpu_time_and_a_repeated_wall_timeout_are_near_the_limit(
    runs: list[list[Event]], verdict: Verdict, near: bool
) -> None:
    assert decided(runs) == [(verdict, near)]


def test_a_later_cell_that_was_cut_short_is_near_its_limit_by_cpu_time_alone() -> None:
    alone = [LOADED, answer(0, 1)]
    by_wall = decided([[LOADED, answer(0, 0), wall(1)], alone], 2)
    by_cpu = decided([[LOADED, answer(0, 0), cpu(1)], alone], 2)
    assert by_wall == [(Verdict.PASS, False)] * 2
    assert by_cpu == [(Verdict.PASS, False), (Verdict.PASS, True)]


def test_a_program_that_only_waited_while_it_loaded_is_asked_cell_by_cell() -> None:
    loads, first, second = [LOADED], [LOADED, answer(0, 0)], [LOADED, answer(0, 7)]
    found = decided([[wall(LOADING)], loads, first, second], 2)
    assert found == [(Verdict.PASS, False), (Verdict.FAIL, False)]
    assert decided([[wall(LOADING)], [wall(LOADING)]], 2) == [(Verdict.WALL_TIMEOUT, True)] * 2


@pytest.mark.parametrize(
    ("first", "verdict"),
    [
        (memory(LOADING), Verdict.FLAKY),
        ((LOADING, "output", "", b"", 0.0, 0.0), Verdict.FLAKY),
        ((LOADING, "tampered", "", b"", 0.0, 0.0), Verdict.TAMPERED),
    ],
)
def test_a_program_that_loads_the_second_time_never_passes_unrun(
    first: Event, verdict: Verdict
) -> None:
    ((found, _),) = decided([[first], [LOADED]])
    assert found is verdict
    assert found.label is Label.NONE


def honest(run: Run) -> list[Event]:
    return [LOADED, *(answer(at, test) for at, test in enumerate(asked(run)))]


def test_a_pass_that_chance_picks_and_that_does_not_hold_alone_is_flaky() -> None:
    def passes_by_order(run: Run) -> list[Event]:
        """Right, but for a cell that is asked alone and not first."""
        alone = len(run.cells) == 1 and asked(run) != [0]
        return [LOADED, *(answer(at, -1 if alone else t) for at, t in enumerate(asked(run)))]

    found = results(passes_by_order, 4, Rules(1.0))
    assert [r.verdict for r in found] == [Verdict.PASS, *[Verdict.FLAKY] * 3]
    unseen = results(passes_by_order, 4, Rules(0.0))
    assert {r.verdict for r in unseen} == {Verdict.PASS}


def test_chance_picks_by_content_a_share_of_all_cells() -> None:
    programs = [hashlib.sha256(b"p%d" % at).digest() for at in range(100)]
    tests = [hashlib.sha256(b"t%d" % at).digest() for at in range(100)]
    for share in (0.0, 0.01, 0.3, 1.0):
        picked = [(p, t) for p in programs for t in tests if selected(p, t, share)]
        assert abs(len(picked) - share * 10_000) < 150
        assert max((sum(p == q for q, _ in picked) for p in programs), default=0) <= max(
            8, 150 * share
        )


def test_one_contradiction_in_a_child_sends_everything_that_passed_in_it_alone() -> None:
    """Also where chance picks nothing: the first cell fails beside others and passes alone."""
    runs: list[list[int]] = []

    def report(run: Run) -> list[Event]:
        runs.append(asked(run))
        if len(run.cells) == 1:
            return [LOADED, answer(0, asked(run)[0] if asked(run) != [2] else -1)]
        return [LOADED, *(answer(at, at if at != 1 else -1) for at in range(5))]

    found = results(report, 5)
    assert [r.verdict.value for r in found] == ["PASS", "FLAKY", "FLAKY", "PASS", "PASS"]
    assert sorted(runs[1:]) == [[1], [2], [3], [4]]
    assert not any(r.trusted for r in found)


def test_a_forged_answer_sends_everything_that_passed_beside_it_alone() -> None:
    def report(run: Run) -> list[Event]:
        if len(run.cells) == 1:
            return [LOADED, answer(0, -1)]
        return [
            LOADED,
            answer(0, 0),
            answer(1, 1),
            answer(2, 2),
            (3, "tampered", "", b"", 0.0, 0.0),
        ]

    found = results(report, 4)
    # The last answer before it may have been given twice, so it is asked again itself.
    assert [r.verdict.value for r in found] == ["PASS", "FLAKY", "FLAKY", "FAIL"]


def test_what_is_run_again_comes_in_an_order_drawn_by_the_program() -> None:
    def order() -> list[int]:
        runs: list[int] = []

        def report(run: Run) -> list[Event]:
            runs.extend(asked(run) if len(run.cells) == 1 else [])
            return honest(run)

        results(report, 30, Rules(1.0))
        return runs

    assert sorted(order()) == list(range(1, 30))
    assert order() == order() != sorted(order())


def test_a_row_stops_after_so_many_timeouts_and_says_what_it_leaves_out() -> None:
    def report(run: Run) -> list[Event]:
        """Every third test runs out of time, wherever it is asked."""
        events: list[Event] = [LOADED]
        for at, test in enumerate(asked(run)):
            events.append(answer(at, test) if test % 3 else cpu(at))
            if not test % 3:
                break
        return events

    found = results(report, 10, Rules(0.0, stop_after_timeouts=2))
    seen = [r.verdict.value for r in found]
    assert seen == ["CPU_TIMEOUT", "PASS", "PASS", "CPU_TIMEOUT"]
    assert [r.left_out for r in found] == [0, 0, 0, 6]
    assert len(results(report, 10)) == 10


def test_a_row_that_stops_on_failure_stops_at_the_first_in_the_order_of_tests() -> None:
    """The pass of test 1 does not hold alone; test 4 fails in the shared child already."""

    def report(run: Run) -> list[Event]:
        if len(run.cells) == 1:
            return [LOADED, answer(0, -1 if asked(run)[0] in (1, 4) else asked(run)[0])]
        return [LOADED, *(answer(at, at if at != 4 else -1) for at in range(8))]

    found = results(report, 8, Rules(1.0, stop_on_failure=True))
    assert [(r.verdict.value, r.left_out) for r in found] == [("PASS", 0), ("FLAKY", 6)]
