"""Limits of one test or one program: what is said there replaces the item's, and is kept."""

import asyncio

import pytest

from roundsmith.errors import ConfigError
from roundsmith.executor.own_limits import resolved
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Limits, Outcome, OwnLimits, Program
from roundsmith.verdicts import Verdict

LIMITS = Limits(cpu_s=0.3, memory_bytes=128 * 2**20, output_bytes=2**10, file_bytes=2**12)


@pytest.mark.parametrize(
    ("program", "test", "expected"),
    [
        (None, None, LIMITS),
        (OwnLimits(), OwnLimits(), LIMITS),
        (OwnLimits(cpu_s=9.0), None, Limits(9.0, LIMITS.memory_bytes, 2**10, 2**12)),
        (None, OwnLimits(cpu_s=0.1), Limits(0.1, LIMITS.memory_bytes, 2**10, 2**12)),
        (
            OwnLimits(cpu_s=9.0, processes=4),
            OwnLimits(cpu_s=5.0, memory_bytes=0),
            Limits(5.0, 0, 2**10, 2**12, 4),
        ),
        (OwnLimits(cpu_s=5.0), OwnLimits(cpu_s=9.0), Limits(5.0, 128 * 2**20, 2**10, 2**12)),
    ],
)
def test_the_explicit_limit_holds_and_of_two_the_smaller(
    program: OwnLimits | None, test: OwnLimits | None, expected: Limits
) -> None:
    found = resolved(
        LIMITS, Program("c", "", limits=program), CallTest("t", "f", (), 1, limits=test)
    )
    assert found == expected


def outcomes(item: ExecuteItem) -> dict[tuple[str, str], Outcome]:
    async def run() -> list[Outcome]:
        async with Pool(ExecutorSettings(slots=1)) as pool:
            return [outcome async for outcome in pool.execute(item)]

    found = asyncio.run(run())
    by_cell = {(o.code_id, o.test_id): o for o in found}
    assert len(by_cell) == len(found) == len(item.programs) * len(item.tests)
    return by_cell


SOURCE = """
import os, time
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
    return True
def take(size):
    return len(bytearray(size)) == size
def say(count):
    print('x' * count)
    return True
def write(size):
    with open('file', 'wb') as stream: return stream.write(bytes(size)) == size
def fork():
    pid = os.fork()
    if not pid: os._exit(0)
    return os.waitpid(pid, 0)[0] == pid
"""
WORK = {
    "cpu_s": ("spin", 1.0, 5.0, Verdict.CPU_TIMEOUT),
    "memory_bytes": ("take", 3 * 2**26, 2**29, Verdict.MEMORY),
    "output_bytes": ("say", 2**12, 2**13, Verdict.OUTPUT_LIMIT),
    "file_bytes": ("write", 2**14, 2**15, Verdict.FILE_LIMIT),
}


@pytest.mark.parametrize("whose", ["test", "program"])
def test_each_limit_is_held_for_one_test_or_one_program_alone(whose: str) -> None:
    for name, (function, size, limit, verdict) in WORK.items():
        own = OwnLimits(**{name: limit})  # type: ignore[arg-type]  # sizes are ints, times floats
        test_limits = own if whose == "test" else None
        program_limits = own if whose == "program" else None
        item = ExecuteItem(
            "i",
            (
                Program("plain", SOURCE),
                Program("own", SOURCE, limits=program_limits),
            ),
            (
                CallTest("plain", function, (size,), True),
                CallTest("own", function, (size,), True, limits=test_limits),
            ),
            limits=LIMITS,
        )
        found = {cell: outcome.verdict for cell, outcome in outcomes(item).items()}
        larger = {cell for cell in found if cell[whose == "test"] == "own"}
        assert {found[cell] for cell in larger} == {Verdict.PASS}, (name, found)
        assert {found[cell] for cell in found.keys() - larger} == {verdict}, (name, found)


def test_who_waits_may_wait_longer_by_a_factor_of_its_own() -> None:
    source = "import time\ndef f():\n    time.sleep(1)\n    return True\n"
    patient = OwnLimits(wall_factor=100)
    item = ExecuteItem(
        "i",
        (Program("plain", source), Program("own", source, limits=patient)),
        (CallTest("plain", "f", (), True), CallTest("own", "f", (), True, limits=patient)),
        limits=Limits(cpu_s=0.1, wall_factor=2),
    )
    found = {cell: outcome.verdict for cell, outcome in outcomes(item).items()}
    assert found.pop(("plain", "plain")) is Verdict.WALL_TIMEOUT
    assert set(found.values()) == {Verdict.PASS}


def test_processes_may_be_allowed_to_one_test() -> None:
    tests = (
        CallTest("one", "fork", (), True),
        CallTest("two", "fork", (), True, limits=OwnLimits(processes=2)),
    )
    found = outcomes(ExecuteItem("i", (Program("c", SOURCE),), tests, limits=LIMITS))
    assert found["c", "one"].verdict is Verdict.PROCESS_LIMIT
    assert found["c", "two"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("item", "whose"),
    [
        (ExecuteItem("i", (), (CallTest("t", "f", (), 1, limits=OwnLimits(cpu_s=0.0)),)), "test t"),
        (ExecuteItem("i", (Program("c", "", limits=OwnLimits(processes=0)),), ()), "program c"),
        (ExecuteItem("i", (), (), limits=Limits(wall_factor=0.5)), "item i"),
        (ExecuteItem("i", (), (), limits=Limits(wall_factor=float("inf"))), "item i"),
        (ExecuteItem("i", (), (), limits=Limits(memory_bytes=2**64)), "item i"),
        (ExecuteItem("i", (), (), limits=Limits(processes=2**32)), "item i"),
    ],
)
def test_limits_that_nothing_can_run_in_are_refused(item: ExecuteItem, whose: str) -> None:
    with pytest.raises(ConfigError, match=f"{whose}: limits"):
        outcomes(item)
