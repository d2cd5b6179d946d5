"""The pool: complete and equal results whatever the slots, the cancellations and the deaths."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import pytest

from roundsmith.errors import ConfigError, IsolationFloor, UnknownName
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings, Tier
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Limits, Outcome, Program, StdioTest
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict
from roundsmith.wire import from_message, to_message
from tests.processes import alive, descendants

PROGRAMS = (
    Program("right", "def f(x):\n    return x + 1\n"),
    Program("wrong", "def f(x):\n    return x\n"),
    Program("raises", "def f(x):\n    raise KeyError(x)\n"),
    Program("sometimes", "def f(x):\n    return x + 1 if x < 2 else None\n"),
    Program("broken", "def f(x) return x\n"),
    Program("exits", "import sys\ndef f(x):\n    sys.exit(0)\n"),
    Program("dies", "import os\ndef f(x):\n    os._exit(3) if x else None\n    return 1\n"),
    Program("state", "seen = []\ndef f(x):\n    seen.append(x)\n    return x + len(seen)\n"),
    Program("hungry", "def f(x):\n    return bytearray(2 ** 40)\n"),
    Program("reaches", "import socket\ndef f(x):\n    socket.socket()\n"),
    Program("setup", "def f(x):\n    return x + ONE\n", "ONE = 1"),
)
TESTS: tuple[AnyTest, ...] = (
    *(CallTest(f"call{at}", "f", (at,), at + 1) for at in range(3)),
    AssertTest("split", "assert f(4) == 5"),
    AssertTest("whole", "for x in range(3):\n    assert f(x) == x + 1"),
)
ITEM = ExecuteItem("item", PROGRAMS, TESTS)
T = TypeVar("T")
Cells = dict[tuple[str, str], tuple[Verdict, str]]


def run(work: Callable[[Pool], Awaitable[T]], slots: int = 1, highest: Tier = "T2") -> T:
    async def main() -> T:
        async with Pool(ExecutorSettings(slots=slots, highest=highest)) as pool:
            return await work(pool)

    return asyncio.run(main())


async def outcomes(pool: Pool, item: ExecuteItem) -> list[Outcome]:
    return [outcome async for outcome in pool.execute(item)]


def cells(found: list[Outcome]) -> Cells:
    assert len({(o.code_id, o.test_id) for o in found}) == len(found), "a cell came twice"
    return {(o.code_id, o.test_id): (o.verdict, str(o.judge)) for o in found}


def test_case_82_every_cell_comes_once_with_its_verdict_on_any_number_of_slots() -> None:
    async def twice(pool: Pool) -> tuple[Cells, Cells]:
        return cells(await outcomes(pool, ITEM)), cells(await outcomes(pool, ITEM))

    first, second = run(twice)
    assert first == second == run(twice, slots=2)[0]
    assert set(first) == {(p.code_id, t.test_id) for p in PROGRAMS for t in TESTS}
    by_program = {
        p.code_id: [first[p.code_id, t.test_id][0].value for t in TESTS] for p in PROGRAMS
    }
    assert by_program == {
        "right": ["PASS"] * 5,
        "wrong": ["FAIL"] * 5,
        "raises": ["ERROR"] * 5,
        "sometimes": ["PASS", "PASS", "FAIL", "FAIL", "FAIL"],
        "broken": ["COMPILE_ERROR"] * 5,
        "exits": ["EXITED_EARLY"] * 5,
        "dies": ["PASS", *["EXITED_EARLY"] * 4],
        "state": ["PASS", "FLAKY", "FLAKY", "FLAKY", "FAIL"],
        "hungry": ["MEMORY"] * 5,
        "reaches": ["DENIED"] * 5,
        "setup": ["PASS"] * 5,
    }


def test_scripts_are_judged_by_what_they_print() -> None:
    programs = (
        Program("echo", "print(input().upper())\n"),
        Program("exits", "import sys\nprint(input().upper())\nsys.exit()\n"),
        Program(
            "main",
            "if __name__ == '__main__':\n    print(input().upper(), flush=True)\n"
            "    import os; os._exit(0)\n",
        ),
        Program("fails", "import sys\nprint('HI')\nsys.exit(3)\n"),
        Program("wrong", "print('ho')\n"),
        Program("loops", "while True: pass\n"),
    )
    item = ExecuteItem(
        "i",
        programs,
        (StdioTest("t", "hi\n", "HI \n\n"),),
        limits=Limits(cpu_s=0.2, wall_factor=40),
    )
    found = {o.code_id: o.verdict.value for o in run(lambda pool: outcomes(pool, item))}
    assert found == {
        "echo": "PASS",
        "exits": "PASS",
        "main": "PASS",
        "fails": "ERROR",
        "wrong": "FAIL",
        "loops": "CPU_TIMEOUT",
    }


def test_a_sparse_matrix_runs_its_cells_only() -> None:
    item = ExecuteItem("i", PROGRAMS[:3], TESTS, cells=(("right", "split"), ("wrong", "call1")))
    assert set(cells(run(lambda pool: outcomes(pool, item)))) == set(item.cells)


def test_a_row_that_stops_on_failure_has_no_outcome_after_it() -> None:
    item = ExecuteItem("i", PROGRAMS, TESTS, stop_row_on_failure=True)
    count = Counter(o.code_id for o in run(lambda pool: outcomes(pool, item)))
    assert count == Counter(
        right=5,
        setup=5,
        wrong=1,
        raises=1,
        sometimes=3,
        broken=1,
        exits=1,
        dies=2,
        state=2,
        hungry=1,
        reaches=1,
    )


def test_leaving_the_iteration_frees_the_slot_and_leaves_nothing_running() -> None:
    sleeping = ExecuteItem(
        "i",
        (Program("c", "import time\ndef f():\n    time.sleep(600)\n"),),
        (CallTest("t", "f", (), 1),),
        limits=Limits(cpu_s=600),
    )

    async def leave(pool: Pool) -> float:
        pids = pool.supervisor_pids()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outcomes(pool, sleeping), 0.5)
        started = time.monotonic()
        assert len(await outcomes(pool, ExecuteItem("j", PROGRAMS[:1], TESTS[:1]))) == 1
        assert pool.supervisor_pids() == pids, "the supervisor had to be replaced"
        return time.monotonic() - started

    assert run(leave) < 120


@pytest.mark.parametrize(
    ("body", "verdict", "detail"),
    [
        ("raise ValueError('\\ud800')", Verdict.ERROR, "ValueError: ?"),
        ("os.kill(os.getpid(), 35)", Verdict.SIGNALED, "signal 35"),
    ],
)
def test_a_detail_can_be_sent_whatever_the_program_said(
    body: str, verdict: Verdict, detail: str
) -> None:
    item = ExecuteItem(
        "i",
        (Program("c", f"import os\ndef f():\n    {body}\n"),),
        (CallTest("t", "f", (), 1),),
    )
    # As process 1 of a namespace of its own, as in T2, a program can not signal itself.
    (outcome,) = run(lambda pool: outcomes(pool, item), highest="T1")
    assert (outcome.verdict, outcome.detail) == (verdict, detail)
    assert from_message(Outcome, to_message(outcome)).detail == detail


def test_taking_only_the_first_outcome_is_fine() -> None:
    async def first(pool: Pool) -> Outcome:
        async with aclosing(pool.execute(ITEM)) as stream:
            outcome = await anext(stream)
        assert len(await outcomes(pool, ITEM)) == len(PROGRAMS) * len(TESTS)
        return outcome

    assert run(first).code_id in {p.code_id for p in PROGRAMS}


def test_two_items_share_the_slots() -> None:
    async def both(pool: Pool) -> list[int]:
        found = await asyncio.gather(*(outcomes(pool, ITEM) for _ in range(3)))
        return [len(cells(one)) for one in found]

    assert run(both, slots=2) == [len(PROGRAMS) * len(TESTS)] * 3


@pytest.mark.parametrize(
    ("item", "error", "said"),
    [
        (ExecuteItem("i", PROGRAMS[:1], TESTS, profile="nosuch"), UnknownName, "nosuch"),
        (ExecuteItem("i", PROGRAMS[:1] * 2, TESTS), ConfigError, "right"),
        (ExecuteItem("i", PROGRAMS[:1], TESTS[:1] * 2), ConfigError, "call0"),
        (ExecuteItem("i", PROGRAMS[:1], TESTS, cells=(("right", "none"),)), ConfigError, "none"),
        (ExecuteItem("i", PROGRAMS[:1], TESTS, limits=Limits(cpu_s=0)), ConfigError, "cpu_s"),
        (
            ExecuteItem("i", PROGRAMS[:1], TESTS, rerun_share=2),
            ConfigError,
            "i: rerun_share 2",
        ),
        (ExecuteItem("i", (Program("c", "x" * 2**21),), TESTS), ConfigError, "2097152 bytes"),
        (ExecuteItem("i", (Program("c", "é" * 2**19, "#"),), TESTS), ConfigError, "1048577 bytes"),
        (
            ExecuteItem("i", PROGRAMS[:1], (CallTest("t", "f", ("x" * 2**21,), 1),)),
            ConfigError,
            "larger than",
        ),
    ],
)
def test_an_item_that_can_not_be_run_is_refused_with_the_reason(
    item: ExecuteItem, error: type[ConfigError], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(lambda pool: outcomes(pool, item))


def test_a_floor_that_does_not_hold_refuses_to_serve_and_says_what_is_missing() -> None:
    with pytest.raises(IsolationFloor, match=r"expected at least T2.*own_pid_namespace"):
        asyncio.run(Pool.start(ExecutorSettings(slots=1, floor="T2", highest="T1")))


def test_closing_the_pool_leaves_no_process() -> None:
    pids = run(lambda pool: _pids(pool), slots=2)
    assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


async def _pids(pool: Pool) -> list[int]:
    return pool.supervisor_pids()


def test_floods_of_values_do_not_hold_up_honest_neighbours() -> None:
    flood = tuple(
        Program(f"flood{at}", "def f():\n    return [None] * 1_000_000\n") for at in range(6)
    )
    same_size = Program("same", "def f():\n    return [None] * 49_999 + [True]\n")
    honest = Program("honest", "def f():\n    return [None] * 50_000\n")
    test = CallTest("t", "f", (), [None] * 50_000)
    item = ExecuteItem("i", (*flood, same_size, honest), (test,))
    found = {o.code_id: o.verdict for o in run(lambda pool: outcomes(pool, item))}
    assert found.pop("honest") is Verdict.PASS
    assert set(found.values()) == {Verdict.FAIL}


_KILLED_SERVER = """
import asyncio, sys
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Limits, Program
async def main():
    pool = await Pool.start(ExecutorSettings(slots=2))
    print(*pool.supervisor_pids(), flush=True)
    program = Program("c", "import time\\ndef f():\\n    time.sleep(9999)\\n")
    item = ExecuteItem("i", (program,), (CallTest("t", "f", (), 1),), limits=Limits(cpu_s=9999))
    async for _ in pool.execute(item):
        pass
asyncio.run(main())
"""


def test_a_killed_server_takes_its_supervisors_and_programs_with_it() -> None:
    command = [sys.executable, "-c", _KILLED_SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            pids = [int(pid) for pid in server.stdout.readline().split()]
            assert len(pids) == 2
            _until(lambda: set(pids) < set(descendants(server.pid)))
            family = descendants(server.pid)
        finally:
            server.kill()
    _until(lambda: not any(map(alive, family)))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)
