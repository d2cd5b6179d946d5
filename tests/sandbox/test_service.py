"""Programs and accidents that would take the service or its promises away (cases 76 to 83)."""

import gc
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import PATIENCE_S, begun, ended, living
from tests.sandbox.test_processes import zygote

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

TEST = CallTest("t", "f", (), 1)
HONEST = (
    "def f():\n    return sum(range(10)) - 44\n",
    "def f():\n    return sum(range(10)) - 45\n",
    "def f():\n    return [][0]\n",
    "def f():\n    return sum(range(10 ** 5)) - 4999949999\n",
)
EXPECTED = (Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.PASS)
# One of each kind; none may pass, and none may touch an honest neighbour.
HOSTILE = (
    "while True: pass",
    "bytearray(2 ** 40)",
    "import os; os.fork()",
    "import os; os.kill(-1, 9)",
    "import os; os._exit(0)",
    "import ctypes; ctypes.string_at(0)",
    "print('x' * 10 ** 6)",
    "open('x', 'wb').truncate(2 ** 50)",
    "import os; os.write(3, bytes(99))",
    "import os; os.mkdir('d'); os.chmod('.', 0)",
)
HURRIED = Limits(cpu_s=0.05, wall_factor=40, memory_bytes=64 * 2**20, file_bytes=2**20)


def honest(count: int) -> tuple[Program, ...]:
    """Programs that are right, wrong, fail, or take some time, in turn."""
    return tuple(Program(f"honest{at}", HONEST[at % len(HONEST)]) for at in range(count))


def holds(box: "Box", pairs: int) -> None:
    """Asserts that honest programs end as on an idle machine beside as many hostile ones, in turn,
    and that no hostile one passes or is called a failure of the sandbox.
    """
    hostile = tuple(
        Program(f"hostile{at}", f"def f():\n    {HOSTILE[at % len(HOSTILE)]}\n")
        for at in range(pairs)
    )
    mixed = tuple(one for pair in zip(honest(pairs), hostile, strict=True) for one in pair)
    idle = told(box, honest(pairs))
    assert Counter(verdict for verdict, _ in idle.values()) == Counter(
        EXPECTED[at % len(HONEST)] for at in range(pairs)
    )
    beside = told(box, mixed)
    assert {code: beside[code] for code in idle} == idle
    verdicts = Counter(beside[program.code_id][0] for program in hostile)
    assert not verdicts[Verdict.PASS], verdicts
    assert not verdicts[Verdict.INFRA_ERROR], verdicts


def told(box: "Box", programs: tuple[Program, ...]) -> dict[str, tuple[Verdict, str]]:
    """Verdict and detail of each program."""
    # What takes a millisecond elsewhere takes many in gVisor, so that 50 of them may be a limit.
    limits = replace(HURRIED, cpu_s=0.5) if box.place == "T3" else HURRIED
    outcomes = box.matrix(ExecuteItem("mixed", programs, (TEST,), limits=limits))
    found = {o.code_id: (o.verdict, o.detail) for o in outcomes}
    assert len(found) == len(outcomes) == len(programs)
    return found


def test_case_76_a_zygote_killed_in_the_middle_loses_and_doubles_no_cell(box: "Box") -> None:
    marker = f"case76-{time.monotonic_ns() % 10**8}"
    slow = (
        f"import ctypes, time\nctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)\n"
        "def f():\n    time.sleep(0.05)\n    return 1\n"
    )
    programs = tuple(Program(f"c{at}", slow) for at in range(60))
    found = []
    running = threading.Thread(
        target=lambda: found.extend(box.matrix(ExecuteItem("i", programs, (TEST,))))
    )
    pids = box.supervisor_pids
    running.start()
    begun(marker)
    os.kill(zygote(pids), 9)
    running.join()
    assert {o.verdict for o in found} == {Verdict.PASS}
    assert sorted(o.code_id for o in found) == sorted(p.code_id for p in programs)
    assert pids[0] not in box.supervisor_pids
    assert not living(marker), "a program outlived its zygote"


def test_case_76_what_runs_ends_with_its_zygote(box: "Box") -> None:
    """It would sleep on, and reads nothing that tells it."""
    marker = f"case76-{time.monotonic_ns() % 10**8}"
    source = (
        f"import ctypes, time\nctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)\n"
        "def f():\n    time.sleep(600)\n"
    )
    item = ExecuteItem("i", (Program("a", source),), (TEST,), limits=Limits(cpu_s=600))
    pids = box.supervisor_pids
    with box.running(item):
        first = begun(marker)
        for pid in pids:
            os.kill(zygote([pid]), 9)
        assert ended(first, marker), "a program outlived its zygote"
    assert not living(marker), "one that was tried again outlived the item"


def test_case_78_giving_up_frees_the_slot_and_ends_the_program(box: "Box") -> None:
    marker = f"case78-{time.monotonic_ns() % 10**8}"
    source = (
        f"import ctypes, time\nctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)\n"
        "def f():\n    time.sleep(600)\n"
    )
    programs = (Program("a", source), Program("b", source))
    item = ExecuteItem("i", programs, (TEST,), limits=Limits(cpu_s=600))
    pids, begun = [0], time.monotonic()
    while pids != (before := box.supervisor_pids):  # until no slot waits for a new supervisor
        assert time.monotonic() - begun < PATIENCE_S
        assert box.given_up(item, 2.0)
        pids = before
    assert box.given_up(item, 0.5)
    started = time.monotonic()
    assert box.call(HONEST[0], 1).verdict is Verdict.PASS
    assert time.monotonic() - started < PATIENCE_S
    assert box.supervisor_pids == pids
    assert not living(marker)


def test_case_80_honest_programs_end_beside_hostile_ones_as_on_an_idle_machine(box: "Box") -> None:
    # Each run costs far more in gVisor.
    holds(box, 20 if box.place == "T3" else 50)


@pytest.mark.slow
@pytest.mark.places("T2")
def test_case_80_a_thousand_honest_programs_end_beside_a_thousand_hostile_ones_as_alone(
    box: "Box",
) -> None:
    holds(box, 1000)


@pytest.mark.places("T2", "T1", "pod")
def test_case_81_many_runs_leave_nothing_behind(box: "Box") -> None:
    holds(box, 10)
    gc.collect()  # what earlier tests left has no descriptors to lose
    before = _settled(box)
    holds(box, 100)
    after = _settled(box)
    # Supervisors keep their processes, so what grew would show.
    assert box.supervisor_pids == list(before)
    for pid, (counts, resident) in after.items():
        assert counts == before[pid][0]
        assert resident < before[pid][1] + 8 * 2**20


def _settled(box: "Box") -> dict[int, tuple[tuple[int, int, int, int], int]]:
    """The same, when nothing that was killed is still about to go."""
    begun, same, counts = time.monotonic(), 0, list[object]()
    while True:
        before = counts
        with suppress(OSError):  # one that ends while it is looked at
            seen = _kept(box)
            counts = [(pid, counted) for pid, (counted, _) in seen.items()]
            same = same + 1 if counts == before else 0
            if same == 5:
                return seen
        assert time.monotonic() - begun < PATIENCE_S, "the processes change on and on"
        time.sleep(0.1)


def _kept(box: "Box") -> dict[int, tuple[tuple[int, int, int, int], int]]:
    """Counts of each supervisor with its zygote, and its resident bytes."""
    return {pid: (_counts(pid), _resident(pid)) for pid in box.supervisor_pids}


def _counts(pid: int) -> tuple[int, int, int, int]:
    """Descriptors, mounts, processes below it, and this process's own descriptors."""
    below = _below(str(pid))
    family = [str(pid), *below]
    if os.geteuid() != 0:
        # Only root may look into a process that is not dumpable.
        return 0, 0, len(below), len(os.listdir("/proc/self/fd"))
    descriptors = sum(len(os.listdir(f"/proc/{one}/fd")) for one in family)
    # At T1 the mounts are the machine's, where others may mount; a supervisor may not.
    own = os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    mounts = len(Path(f"/proc/{pid}/mounts").read_text().splitlines()) if own else 0
    return descriptors, mounts, len(below), len(os.listdir("/proc/self/fd"))


def _below(pid: str) -> list[str]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in children for found in (child, *_below(child))]


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


_WITHOUT = """
import asyncio, os, signal, sys
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox import seccomp, syscalls
name, floor = sys.argv[1:]
refused = [(0x06, 0, 0, 0x00050000 | 38)]
if name == "filter":
    code = {syscalls.number("prctl"): seccomp._refuse_when_any(0, (syscalls.PR_SET_SECCOMP,))}
else:
    code = {syscalls.number(name): refused}
syscalls.call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
seccomp.Filter(seccomp._program(code)).install()
async def main():
    async with Pool(ExecutorSettings(slots=1, floor=floor)) as pool:
        print("serves at", pool.capabilities().tier)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("missing", "floor", "said"),
    [
        ("landlock_create_ruleset", "T1", "landlock_create_ruleset"),
        ("landlock_restrict_self", "T1", "landlock_restrict_self"),
        ("filter", "T1", "prctl: Operation not permitted"),
        ("close_range", "T1", "close_range: Function not implemented"),
        ("setns", "T2", "expected at least T2"),
        ("setns", "T1", "serves at T1"),
        ("mount", "T2", "expected at least T2"),
        ("mount", "T1", "serves at T1"),
    ],
)
def test_case_83_without_a_mechanism_the_service_refuses_or_says_the_lower_tier(
    missing: str, floor: str, said: str
) -> None:
    """In a process where the kernel refuses the system call, as on one without the mechanism."""
    command = [sys.executable, "-c", _WITHOUT, missing, floor]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert said in ended.stdout + ended.stderr
    assert (ended.returncode == 0) == said.startswith("serves")
