"""Who is to blame for how a run ended: the program, or the machine (cases 84 and 100)."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.sandbox.syscalls import number
from roundsmith.verdicts import Label, Verdict
from tests.sandbox.conftest import LIMITS, kill

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

FORCED = (
    "os.kill(os.getpid(), 9)",
    "os._exit(70)",
    "os.close(3); os._exit(70)",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); import json.tool",
    "resource.setrlimit(resource.RLIMIT_AS, (1, 1)); bytearray(2 ** 24)",
    "resource.setrlimit(resource.RLIMIT_CPU, (0, 0)); sum(range(10 ** 9))",
    "os.write(3, b'\\0\\0\\0\\1H')",
    "os.close(1); os.close(2); time.sleep(0.1)",
    "os.close(0); os.dup2(3, 1); os.dup2(3, 2)",
    "signal.raise_signal(9)",
    # The parent gets a signal when a socket is ready, if it can be made the socket's owner.
    "a, b = socket.socketpair(); fcntl.ioctl(a, 0x8901, struct.pack('i', os.getppid())); "
    "fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC); b.send(b'x'); time.sleep(0.1)",
)


@pytest.mark.parametrize("body", FORCED)
def test_case_84_a_program_can_not_make_its_failure_the_sandboxs(box: "Box", body: str) -> None:
    pids = box.supervisor_pids
    modules = "fcntl, os, resource, signal, socket, struct, time"
    outcome = box.call(f"import {modules}\ndef f():\n    {body}\n", limits=LIMITS)
    assert outcome.verdict not in (Verdict.PASS, Verdict.INFRA_ERROR), outcome
    assert outcome.label in (Label.NEGATIVE, Label.NONE)
    assert box.supervisor_pids == pids


LATER = replace(LIMITS, cpu_s=4.0)
"""Time enough to be ended by something else than the limit."""
BY_TIMER = """
import ctypes, struct
def f():
    libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
    libc.timer_create(1, struct.pack('qii48x', 0, 9, 0), ctypes.byref(timer))
    libc.timer_settime(timer, 0, struct.pack('4q', 0, 0, 0, 1000), None)
    sum(range(10 ** 7))
"""
BY_PIPE = """
import fcntl, os
def f():
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, 10, 9)
    fcntl.fcntl(ours, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
    os.write(theirs, b'x')
    sum(range(10 ** 7))
"""
BY_CHILD = f"""
import ctypes, os, time
def f():
    if not ctypes.CDLL(None).syscall({number("clone")}, 9, 0, 0, 0, 0): os._exit(0)
    time.sleep(0.1)
"""
BY_LIMIT = """
import resource, signal
def f():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True: pass
"""


@pytest.mark.parametrize(
    "source", [BY_TIMER, BY_PIPE, BY_CHILD, BY_LIMIT], ids=["timer", "pipe", "child", "limit"]
)
def test_case_84_a_program_can_not_have_itself_killed(box: "Box", source: str) -> None:
    """By the only signal that would look as if it came from outside."""
    outcome = box.call(source, limits=replace(LATER, processes=4))
    assert outcome.label is Label.NEGATIVE, outcome
    assert "killed" not in outcome.detail


def test_case_100_what_is_killed_from_outside_is_never_the_programs_failure(box: "Box") -> None:
    pids, marker = box.supervisor_pids, f"case100-{time.monotonic_ns() % 10**7}"
    source = (
        f"import ctypes, time\ndef f():\n    ctypes.CDLL(None).prctl(15, {marker.encode()!r})\n"
        "    time.sleep(600)\n"
    )
    patient = replace(LIMITS, wall_factor=1000)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(box.call, source, limits=patient)
        while not asked.done():
            kill(marker)
    outcome = asked.result()
    assert outcome.verdict is Verdict.INFRA_ERROR, outcome
    assert "killed from outside" in outcome.detail
    assert outcome.label is Label.NONE
    assert box.supervisor_pids == pids
