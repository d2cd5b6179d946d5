"""Which of a cell's runs decides, told by what the sandbox reports; wall time decides nothing."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from roundsmith.executor.questions import question
from roundsmith.executor.rows import Row
from roundsmith.sandbox.codec import encode
from roundsmith.sandbox.runs import LOADING, Event, Run
from roundsmith.types import CallTest, Limits, Program
from roundsmith.verdicts import Label, Verdict

LIMITS = Limits(cpu_s=1.0, wall_factor=4.0)
TESTS = [CallTest(f"t{at}", "f", (), at) for at in range(2)]
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

    async def start(run: Run) -> AsyncGenerator[Event, None]:
        for event in next(left):
            yield event

    async def collect() -> dict[str, tuple[Verdict, bool]]:
        row = Row(Program("c", ""), LIMITS, False, start)
        asked = [question(test) for test in TESTS[:tests]]
        return {
            r.question.test.test_id: (r.ending.verdict, r.near_limit)
            async for r in row.results(asked)
        }

    found = asyncio.run(collect())
    assert next(left, None) is None, "a run was not needed"
    return [found[test.test_id] for test in TESTS[:tests]]


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
