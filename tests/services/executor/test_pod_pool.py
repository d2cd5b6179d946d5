"""The pool over sandbox pods: the outcomes of the local pool, whatever dies meanwhile."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import pytest

from roundsmith.errors import IsolationFloor, SandboxError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Limits, Outcome, Program, StdioTest
from roundsmith.verdicts import Label, Verdict
from tests.services.executor.sandbox_pod import SandboxPod, sandbox_pod
from tests.services.executor.test_local_pool import ITEM, Cells, cells, outcomes

T = TypeVar("T")

LIMITED_PROGRAMS = (
    Program("loops", "def f(x):\n    while True: pass\n"),
    Program("sleeps", "import time\ndef f(x):\n    time.sleep(60)\n"),
    Program("eats", "def f(x):\n    return [bytearray(2 ** 24) for _ in range(99)]\n"),
    Program("crashes", "import ctypes\ndef f(x):\n    ctypes.string_at(0)\n"),
    Program("prints", "def f(x):\n    while True: print('x' * 10000)\n"),
    Program("writes", "def f(x):\n    open('a', 'wb').write(bytes(2 ** 22))\n"),
    Program("large", "def f(x):\n    return 'x' * 900_000\n"),
    Program("honest", "def f(x):\n    return x\n"),
)
LIMITED = ExecuteItem(
    "limited",
    LIMITED_PROGRAMS,
    (
        CallTest("call", "f", (7,), 7),
        CallTest("long", "f", ("x" * 900_000,), "x" * 900_000),
        AssertTest("asserts", "for x in (1, 2):\n    assert f(x) == x"),
    ),
    cells=tuple(
        (program.code_id, test)
        for program in LIMITED_PROGRAMS
        for test in ("call", "long", "asserts")
        if test == "call" or program.code_id not in ("loops", "sleeps")
    ),
    limits=Limits(cpu_s=0.3, memory_bytes=2**27, file_bytes=2**20, wall_factor=4),
)
SCRIPTS = ExecuteItem(
    "scripts",
    (Program("echo", "print(input().upper())\n"), Program("wrong", "print('ho')\n")),
    (StdioTest("t", "hi\n", "HI\n"),),
)
SLOW = ExecuteItem(
    "slow",
    tuple(
        Program(
            f"c{at}", f"import time\ndef f(x):\n    time.sleep(0.01)\n    return x + {at % 2}\n"
        )
        for at in range(30)
    ),
    tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(4)),
    no_cache=True,  # so that programs that are the same are all run
)
SLEEPING = ExecuteItem(
    "sleeping",
    (Program("c", "import time\ndef f():\n    time.sleep(600)\n"),),
    (CallTest("t", "f", (), 1),),
    limits=Limits(cpu_s=600),
)


@pytest.fixture(scope="module")
def shared_pod() -> Iterator[SandboxPod]:
    with sandbox_pod() as pod:
        yield pod


@pytest.fixture
def pod() -> Iterator[SandboxPod]:
    """One to be broken."""
    with sandbox_pod() as pod:
        yield pod


def run(settings: ExecutorSettings, work: Callable[[Pool], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Pool(settings) as pool:
            return await work(pool)

    return asyncio.run(main())


async def everything(pool: Pool) -> list[Cells]:
    return [cells(await outcomes(pool, item)) for item in (ITEM, LIMITED, SCRIPTS)]


def test_a_pod_gives_the_outcomes_of_the_local_pool(shared_pod: SandboxPod) -> None:
    there = run(shared_pod.settings(), everything)
    assert there == run(ExecutorSettings(slots=2, highest="T1"), everything)
    calls = (cell for cell in there[1].items() if cell[0][1] == "call")
    limited = {code: verdict.value for (code, _), (verdict, _) in calls}
    assert limited == {
        "loops": "CPU_TIMEOUT",
        "sleeps": "WALL_TIMEOUT",
        "eats": "MEMORY",
        "crashes": "SIGNALED",
        "prints": "OUTPUT_LIMIT",
        "writes": "FILE_LIMIT",
        "large": "FAIL",
        "honest": "PASS",
    }


def test_a_pod_is_probed_and_its_outcomes_name_its_tier_and_image(shared_pod: SandboxPod) -> None:
    async def ask(pool: Pool) -> tuple[str, str, list[Outcome]]:
        held = pool.capabilities()
        return held.tier, held.image, await outcomes(pool, SCRIPTS)

    tier, image, found = run(shared_pod.settings(), ask)
    assert tier == "T1"
    assert {(outcome.tier, outcome.image) for outcome in found} == {(tier, image)}


def test_a_floor_that_a_pod_does_not_hold_refuses_to_serve(shared_pod: SandboxPod) -> None:
    with pytest.raises(IsolationFloor, match=r"expected at least T2.*own_pid_namespace"):
        asyncio.run(Pool.start(shared_pod.settings(floor="T2")))


def test_leaving_the_iteration_keeps_the_supervisor(shared_pod: SandboxPod) -> None:
    async def leave(pool: Pool) -> float:
        pids = pool.supervisor_pids()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outcomes(pool, SLEEPING), 0.5)
        started = time.monotonic()
        await outcomes(pool, SCRIPTS)
        assert pool.supervisor_pids() == pids, "the supervisor had to be replaced"
        return time.monotonic() - started

    assert run(shared_pod.settings(), leave) < 120


def test_an_old_supervisor_is_replaced_when_it_is_idle(shared_pod: SandboxPod) -> None:
    async def twice(pool: Pool) -> tuple[list[int], list[int]]:
        before = pool.supervisor_pids()
        await outcomes(pool, SCRIPTS)
        await outcomes(pool, SCRIPTS)
        return before, pool.supervisor_pids()

    before, after = run(shared_pod.settings(slots=1, recycle_s=0.01), twice)
    assert before != after


def test_a_pool_that_closes_leaves_nothing_in_the_pod(shared_pod: SandboxPod) -> None:
    async def look(pool: Pool) -> int:
        await outcomes(pool, SCRIPTS)
        return await settled(shared_pod, 4)

    assert run(shared_pod.settings(), look) == 4, "expected two supervisors with their zygotes"
    _await(lambda: not shared_pod.processes() and not list(shared_pod.scratch.iterdir()))


def test_supervisors_killed_in_the_middle_lose_and_double_no_cell(shared_pod: SandboxPod) -> None:
    async def disturbed(pool: Pool) -> Cells:
        task = asyncio.create_task(outcomes(pool, SLOW))
        for _ in range(2):
            await asyncio.sleep(0.3)
            for pid in pool.supervisor_pids()[:1]:
                with suppress(ProcessLookupError):  # one that died is told for a moment
                    os.kill(pid, signal.SIGKILL)
        return cells(await task)

    assert run(shared_pod.settings(), disturbed) == run(ExecutorSettings(slots=2), slow_cells)


async def slow_cells(pool: Pool) -> Cells:
    return cells(await outcomes(pool, SLOW))


def test_a_sandbox_that_always_dies_gives_infra_errors_and_no_label(
    shared_pod: SandboxPod,
) -> None:
    async def doomed(pool: Pool) -> list[Outcome]:
        task = asyncio.create_task(outcomes(pool, SLEEPING))
        while not task.done():
            await asyncio.sleep(0.1)
            for pid in pool.supervisor_pids():
                with suppress(ProcessLookupError):  # one that died is told for a moment
                    os.kill(pid, signal.SIGKILL)
        return await task

    (outcome,) = run(shared_pod.settings(slots=1, attempts=2), doomed)
    assert (outcome.verdict, outcome.label) == (Verdict.INFRA_ERROR, Label.NONE)


@pytest.mark.parametrize("container", ["worker", "init"])
def test_case_77_a_container_killed_in_the_middle_loses_and_doubles_no_cell(
    pod: SandboxPod, container: str
) -> None:
    async def disturbed(pool: Pool) -> Cells:
        task = asyncio.create_task(outcomes(pool, SLOW))
        await asyncio.sleep(0.5)
        left = pod.processes()
        assert left
        _kill(pod.worker if container == "worker" else pod.init)
        await asyncio.to_thread(_await, lambda: not any(map(_lives, left)))
        if container == "worker":
            pod.begin_worker()
            await asyncio.to_thread(pod.wait)
        else:
            pod.start_init()
        return cells(await task)

    settings = pod.settings(attach_s=600)  # as long as the other container may take to start
    assert run(settings, disturbed) == run(ExecutorSettings(slots=2), slow_cells)


def test_a_pod_that_does_not_come_back_gives_infra_errors_and_no_label(pod: SandboxPod) -> None:
    async def lost(pool: Pool) -> list[Outcome]:
        task = asyncio.create_task(outcomes(pool, SLEEPING))
        await asyncio.sleep(0.5)
        _kill(pod.worker)
        return await task

    (outcome,) = run(pod.settings(slots=1, attach_s=1), lost)
    assert (outcome.verdict, outcome.label) == (Verdict.INFRA_ERROR, Label.NONE)
    assert "expected a worker" in outcome.detail


def test_a_server_without_a_pod_says_what_it_waited_for() -> None:
    settings = ExecutorSettings(pool="pods", sandboxes="127.0.0.1:1", attach_s=0.5)
    started = time.monotonic()
    with pytest.raises(SandboxError, match=r"127\.0\.0\.1:1: expected a worker .* within 0 s, saw"):
        asyncio.run(Pool.start(settings))
    assert time.monotonic() - started < 120


def test_slots_are_spread_over_the_pods_and_move_when_one_is_lost(shared_pod: SandboxPod) -> None:
    async def spread(pool: Pool) -> list[list[int]]:
        before = [len(pod.processes()) for pod in (shared_pod, second)]
        _kill(second.worker)
        assert cells(await outcomes(pool, SLOW)) == expected
        return [before, [await settled(shared_pod, 8)]]

    expected = run(ExecutorSettings(slots=2), slow_cells)
    with sandbox_pod() as second:
        both = f"{shared_pod.address},{second.address}"
        found = run(shared_pod.settings(sandboxes=both, slots=4), spread)
    assert found == [[4, 4], [8]], "expected two supervisors and their zygotes each, then all here"


async def settled(pod: SandboxPod, wanted: int) -> int:
    """How many processes a pod has: so many, or others after minutes. What ended is there for a
    moment, and so is not yet what takes the place of a lost one.
    """
    with suppress(AssertionError):
        await asyncio.to_thread(_await, lambda: len(pod.processes()) == wanted)
    return len(pod.processes())


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _lives(pid: str) -> bool:
    return os.path.exists(f"/proc/{pid}")


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)
