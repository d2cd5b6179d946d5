"""Programs that reach for processes, the network or the kernel (cases 21 to 28, 41 to 55)."""

import os
import time
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

MANY = Limits(cpu_s=1.0, processes=8)
# At T1 without a user of its own a slot can not count processes, so it allows none.
ALLOWED = (Verdict.PASS, Verdict.PROCESS_LIMIT)


def test_every_promise_of_the_tier_was_tried_and_held(box: "Box") -> None:
    held = box.capabilities
    order = ("T1", "T2")[: 1 + (held.tier == "T2")]
    assert len(held.checks) > 30
    assert [check.name for check in held.checks if not check.holds and check.tier in order] == []


def test_case_21_a_fork_bomb_is_stopped_at_the_first_fork(box: "Box") -> None:
    assert (
        box.call("import os\ndef f():\n    while True: os.fork()\n").verdict
        is Verdict.PROCESS_LIMIT
    )


def test_case_21_a_fork_bomb_is_stopped_at_a_higher_limit(box: "Box") -> None:
    source = (
        "import os\ndef f():\n    while True:\n"
        "        if not os.fork(): os.read(0, 1); import time; time.sleep(60)\n"
    )
    assert box.call(source, limits=MANY).verdict in (Verdict.PROCESS_LIMIT, Verdict.DENIED)


def test_case_22_a_thread_bomb_is_stopped(box: "Box") -> None:
    source = (
        "import threading, time\ndef f():\n"
        "    while True: threading.Thread(target=time.sleep, args=(60,)).start()\n"
    )
    assert box.call(source).verdict is Verdict.PROCESS_LIMIT


def test_case_23_double_forked_daemon_does_not_survive(box: "Box") -> None:
    marker = f"daemon-{os.getpid()}-{time.monotonic_ns()}"
    source = f"""
import ctypes, os, time
def f():
    if not os.fork():
        os.setsid()
        if not os.fork():
            ctypes.CDLL(None).prctl(15, {marker[:15]!r}.encode(), 0, 0, 0)
            time.sleep(300)
        os._exit(0)
    time.sleep(0.1)
    return True
"""
    assert box.call(source, limits=MANY).verdict in ALLOWED
    assert not any(_name_of(pid) == marker[:15] for pid in os.listdir("/proc") if pid.isdigit())


def _name_of(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def test_case_24_a_child_that_keeps_the_output_open_does_not_hang_the_run(box: "Box") -> None:
    source = "import os, time\ndef f():\n    if not os.fork(): time.sleep(300)\n    return True\n"
    started = time.monotonic()
    assert box.call(source, limits=MANY).verdict in ALLOWED
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "target", ["-1", "os.getppid()", "1 if os.getpid() != 1 else 2", "SUPERVISOR"]
)
def test_cases_25_and_26_others_can_not_be_killed(box: "Box", target: str) -> None:
    pid = box.supervisor_pids[0]
    source = f"import os\ndef f():\n    os.kill({target.replace('SUPERVISOR', str(pid))}, 9)\n"
    assert box.call(source).verdict is Verdict.DENIED
    assert pid in box.supervisor_pids


def test_case_28_no_other_program_can_be_started(box: "Box") -> None:
    assert box.call("import os\ndef f():\n    os.execv('/bin/sh', ['sh'])\n").verdict in (
        Verdict.DENIED,
        Verdict.ERROR,
    )
    source = "import subprocess\ndef f():\n    subprocess.run(['/bin/true'])\n"
    assert box.call(source).verdict in (Verdict.PROCESS_LIMIT, Verdict.DENIED)
    assert box.call(source, limits=MANY).verdict is not Verdict.PASS


@pytest.mark.parametrize(
    "arguments",
    [
        "socket.AF_INET, socket.SOCK_STREAM",
        "socket.AF_INET, socket.SOCK_DGRAM",
        "socket.AF_UNIX",
        "40, 1",
        "16, 3",
        "38, 5",
        "17, 3",
    ],
)
def test_cases_41_to_45_no_socket_can_be_made(box: "Box", arguments: str) -> None:
    assert (
        box.call(f"import socket\ndef f():\n    socket.socket({arguments})\n").verdict
        is Verdict.DENIED
    )


def test_case_46_the_parent_can_not_be_traced(box: "Box") -> None:
    source = """
import ctypes, os
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    return [libc.ptrace(16, os.getppid(), 0, 0), ctypes.get_errno()]
"""
    assert box.call(source, [-1, 1]).verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["mem", "environ", "fd", "maps"])
def test_case_47_the_supervisor_can_not_be_read(box: "Box", name: str) -> None:
    path = f"/proc/{box.supervisor_pids[0]}/{name}"
    source = (
        f"import os\ndef f():\n    os.close(os.open({path!r}, os.O_RDONLY))\n"
        f"    return os.listdir({path!r})\n"
    )
    assert box.call(source).verdict in (Verdict.DENIED, Verdict.ERROR)


def test_case_48_namespaces_can_not_be_made(box: "Box") -> None:
    source = """
import ctypes, os
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    seen = []
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    user = 0x10000000
    for call in (lambda: libc.unshare(user), lambda: libc.syscall(clone, user | 17, 0, 0, 0, 0)):
        seen.append((call(), ctypes.get_errno()))
    return seen
"""
    outcome = box.call(source, [(-1, 1), (-1, 1)], MANY)
    assert outcome.verdict is Verdict.PASS or "(-1, 11)" in outcome.detail, outcome


def test_case_52_calls_of_another_architecture_kill(box: "Box") -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x86-64 only")
    source = """
import ctypes
def f():
    return ctypes.CDLL(None).syscall(0x40000000 | 39)
"""
    assert box.call(source).verdict is Verdict.DENIED


def test_case_53_shared_files_can_not_be_locked(box: "Box") -> None:
    source = "import fcntl, os\ndef f():\n    fcntl.lockf(open(os.__file__), fcntl.LOCK_SH)\n"
    assert box.call(source).verdict is Verdict.DENIED


def test_the_environment_holds_no_secrets(box: "Box") -> None:
    os.environ["ROUNDSMITH_TEST_SECRET"] = "hush"
    try:
        source = "import os\ndef f():\n    return sorted(os.environ)\n"
        outcome = box.call(source, ["LANG", "LC_ALL", "OMP_NUM_THREADS", "PYTHONHASHSEED", "TZ"])
        assert outcome.verdict is Verdict.PASS, outcome.detail
    finally:
        del os.environ["ROUNDSMITH_TEST_SECRET"]


def test_runs_do_not_see_the_package_or_the_servers_modules(box: "Box") -> None:
    source = (
        "def f():\n    import importlib.util\n"
        "    return [importlib.util.find_spec(n) is None for n in ('numpy', 'grpc', 'pytest')]\n"
    )
    assert box.call(source, [True, True, True]).verdict is Verdict.PASS


def test_case_81_many_runs_leave_no_process_and_no_descriptor(box: "Box") -> None:
    before = (len(os.listdir("/proc/self/fd")), _descendants())
    programs = tuple(
        Program(f"c{at}", "import os\ndef f():\n    os._exit(0)\n") for at in range(50)
    )
    box.matrix(ExecuteItem("i", programs, (CallTest("t", "f", (), 1),)))
    assert (len(os.listdir("/proc/self/fd")), _descendants()) == before


def _descendants() -> int:
    parents: dict[str, str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                parents[pid] = stream.read().rpartition(")")[2].split()[1]
        except OSError:
            continue
    found = {str(os.getpid())}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return len(found)
