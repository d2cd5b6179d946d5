"""T3, for real: process 1 of the sandbox and everything below it in gVisor (Debian's `runsc`)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from roundsmith.errors import IsolationFloor, SandboxError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox import kernels
from roundsmith.types import CallTest, ExecuteItem, Limits, Outcome, Program
from roundsmith.verdicts import Verdict
from tests.services.executor.containers import container_pod
from tests.services.executor.sandbox_pod import SandboxPod

T = TypeVar("T")
LEAVES = """
import os
def f():
    open('/tmp/left', 'w').close()
    return sorted(os.listdir('/tmp'))
"""
"""A program that writes beside its own directory, which only Landlock forbids."""


@pytest.fixture(scope="module")
def pod() -> Iterator[SandboxPod]:
    with container_pod("runsc") as pod:
        yield pod


def run(settings: ExecutorSettings, work: Callable[[Pool], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Pool(settings) as pool:
            return await work(pool)

    return asyncio.run(main())


async def outcomes(pool: Pool, item: ExecuteItem) -> list[Outcome]:
    return [outcome async for outcome in pool.execute(item)]


def test_gvisor_is_recognised_from_inside_and_outcomes_say_t3(pod: SandboxPod) -> None:
    item = ExecuteItem("i", (Program("c", "def f(x): return x"),), (CallTest("t", "f", (1,), 1),))

    async def look(pool: Pool) -> tuple[str, set[str], list[Outcome]]:
        held = pool.capabilities()
        lost = {check.name for check in held.checks if not check.holds and check.tier == "T1"}
        return held.tier, lost, await outcomes(pool, item)

    tier, lost, found = run(pod.settings(slots=1, floor="T3"), look)
    assert tier == "T3"
    assert [(outcome.verdict, outcome.tier) for outcome in found] == [(Verdict.PASS, "T3")]
    assert lost <= {"no_secret_files", "no_write_outside", "no_process_files"}


def test_what_a_program_wrote_beside_its_directory_is_gone_in_the_next_run(pod: SandboxPod) -> None:
    programs = tuple(Program(f"c{at}", f"{LEAVES}# {at}") for at in range(3))
    item = ExecuteItem("i", programs, (CallTest("t", "f", (), []),), limits=Limits(cpu_s=5))
    found = run(pod.settings(slots=1), lambda pool: outcomes(pool, item))
    seen = [outcome.detail.count("left") for outcome in found]
    assert seen == [1, 1, 1], [outcome.detail for outcome in found]
    assert all("box-" in outcome.detail for outcome in found)


def test_a_sandbox_in_gvisor_has_one_supervisor_because_two_could_meet_in_its_files(
    pod: SandboxPod,
) -> None:
    with pytest.raises(SandboxError, match="started no supervisor"):
        run(pod.settings(slots=2, attach_s=2.0), lambda pool: asyncio.sleep(0))


def test_this_machine_is_not_taken_for_gvisor() -> None:
    assert kernels.gvisor() == ""
    with pytest.raises(IsolationFloor, match=r"own_kernel.*the machine's kernel"):
        asyncio.run(Pool.start(ExecutorSettings(slots=1, floor="T3")))


@pytest.mark.parametrize(
    "log",
    [
        b"<6>[    0.000000] Linux version 6.18\n<6>[    1.000000] Starting gVisor...\n",
        b"<6>[  912.000000] Starting gVisor[7]: segfault at 0 ip 0\n",
        b"<6>[    0.000000] Starting gVisor[7]: segfault at 0 ip 0\n",
        b"<6>Starting gVisor...\n",
        b"",
    ],
)
def test_what_a_program_can_have_a_machine_log_is_not_gvisors_first_line(log: bytes) -> None:
    assert not kernels.FIRST_LINE.match(log)
    assert kernels.FIRST_LINE.match(b"<6>[   0.000000] Starting gVisor...\n<6>[   0.1] Ready!\n")
