"""Programs that start processes or reach for others (cases 21 to 29)."""

import os
import time

import pytest

from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import ALSO_FROM_PYTHON, PATIENCE_S, Box, living

pytestmark = pytest.mark.places(*ALSO_FROM_PYTHON)

MANY = Limits(cpu_s=1.0, processes=8)


def test_case_21_a_fork_bomb_is_stopped_at_the_first_fork(box: Box) -> None:
    outcome = box.call("import os\ndef f():\n    while True: os.fork()\n")
    assert outcome.verdict is Verdict.PROCESS_LIMIT


def test_case_21_a_fork_bomb_is_stopped_at_a_higher_limit(box: Box) -> None:
    marker = f"case21-{time.monotonic_ns() % 10**8}"
    source = f"""
import ctypes, os, time
def f():
    ctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)
    while True:
        if not os.fork(): time.sleep(600)
"""
    assert box.call(source, limits=MANY).verdict is Verdict.PROCESS_LIMIT
    assert not living(marker), "it would have ended by itself only much later"


def test_case_85_no_more_processes_than_the_limit_can_be_forked(box: Box) -> None:
    source = """
import os, time
def f():
    for forked in range(100):
        try:
            if not os.fork(): time.sleep(60)
        except OSError:
            return forked < 8
    return False
"""
    assert box.call(source, limits=MANY).verdict is Verdict.PASS


def test_case_22_a_thread_bomb_is_stopped(box: Box) -> None:
    source = (
        "import threading, time\ndef f():\n"
        "    while True: threading.Thread(target=time.sleep, args=(60,)).start()\n"
    )
    assert box.call(source).verdict is Verdict.PROCESS_LIMIT
    assert box.call(source, limits=MANY).verdict is Verdict.PROCESS_LIMIT


def test_case_23_double_forked_daemon_does_not_survive(box: Box) -> None:
    marker = f"case23-{time.monotonic_ns() % 10**8}"
    source = f"""
import ctypes, os, time
def f():
    if not os.fork():
        os.setsid()
        if not os.fork():
            ctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)
            time.sleep(600)
        os._exit(0)
    time.sleep(0.1)
    return True
"""
    assert box.call(source, limits=MANY).verdict is box.if_it_may_fork(Verdict.PASS)
    assert not living(marker)


def test_case_24_a_child_that_keeps_the_output_open_does_not_hang_the_run(box: Box) -> None:
    source = "import os, time\ndef f():\n    if not os.fork(): time.sleep(300)\n    return True\n"
    started = time.monotonic()
    assert box.call(source, limits=MANY).verdict is box.if_it_may_fork(Verdict.PASS)
    assert time.monotonic() - started < PATIENCE_S


def test_case_25_a_signal_to_everyone_is_denied(box: Box) -> None:
    pids = box.supervisor_pids
    for number in (9, 15, 19):
        source = f"import os\ndef f():\n    os.kill(-1, {number})\n"
        assert box.call(source).verdict is Verdict.DENIED
    assert box.supervisor_pids == pids


@pytest.mark.parametrize("number", [9, 19])
@pytest.mark.parametrize("target", ["os.getppid()", "1 if os.getpid() != 1 else 2", "ZYGOTE", 0, 1])
def test_case_26_others_can_not_be_killed_or_stopped(
    box: Box, target: str | int, number: int
) -> None:
    pids = box.supervisor_pids
    pid = pids[target] if isinstance(target, int) else target.replace("ZYGOTE", str(zygote(pids)))
    source = f"import os\ndef f():\n    os.kill({pid}, {number})\n"
    assert box.call(source).verdict is Verdict.DENIED
    assert box.supervisor_pids == pids


def zygote(pids: list[int]) -> int:
    """The first process below the first supervisor."""
    with open(f"/proc/{pids[0]}/task/{pids[0]}/children", encoding="ascii") as stream:
        return int(stream.read().split()[0])


def test_case_26_nobody_can_be_reniced_or_limited(box: Box) -> None:
    pid = box.supervisor_pids[0]
    nice = os.getpriority(os.PRIO_PROCESS, pid)
    for target in (pid, 0):
        source = f"import os\ndef f():\n    os.setpriority(os.PRIO_PROCESS, {target}, 19)\n"
        assert box.call(source).verdict is Verdict.DENIED
    source = f"import resource\ndef f():\n    resource.prlimit({pid}, 7, (0, 0))\n"
    assert box.call(source).verdict is Verdict.DENIED
    assert os.getpriority(os.PRIO_PROCESS, pid) == nice


def test_case_27_a_flood_of_zombies_ends_at_the_process_limit_and_with_the_run(box: Box) -> None:
    marker = f"case27-{time.monotonic_ns() % 10**8}"
    source = f"""
import ctypes, os
def f():
    ctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)
    while True:
        if not os.fork(): os._exit(0)
"""
    assert box.call(source, limits=MANY).verdict is Verdict.PROCESS_LIMIT
    assert not living(marker)


def test_case_28_no_other_program_can_be_started(box: Box) -> None:
    box.refuses("execve execveat")
    for path in ("/bin/sh", "/usr/bin/su", "/proc/self/exe"):
        source = f"import os\ndef f():\n    os.execv({path!r}, ['x'])\n"
        assert box.call(source).verdict is Verdict.DENIED
    source = "import subprocess\ndef f():\n    subprocess.run(['/bin/true'])\n"
    assert box.call(source).verdict is Verdict.PROCESS_LIMIT
    assert box.call(source, limits=MANY).verdict is box.if_it_may_fork(Verdict.DENIED)


def test_case_28_nothing_that_is_started_could_gain_a_privilege(box: Box) -> None:
    source = "import ctypes\ndef f():\n    return ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)\n"
    assert box.call(source, 1).verdict is Verdict.PASS  # PR_GET_NO_NEW_PRIVS


def test_case_29_the_processes_of_every_run_are_counted_by_themselves(box: Box) -> None:
    source = """
import os, time
def f(least):
    count = 0
    try:
        while True:
            if not os.fork(): time.sleep(60)
            count += 1
    except OSError: return least <= count <= 8 or count
"""
    programs = tuple(Program(f"c{at}", source) for at in range(4))
    # Each has all of its own, whatever runs beside it.
    least = MANY.processes - 1 if box.if_it_may_fork(Verdict.PASS) is Verdict.PASS else 0
    item = ExecuteItem("i", programs, (CallTest("t", "f", (least,), True),), limits=MANY)
    found = box.matrix(item)
    assert {outcome.verdict for outcome in found} == {Verdict.PASS}, found
