"""Loops of bare forks that the bench compares with: one core, nothing but the fork and the program.

Each runs in an interpreter of its own: `python -c LOOP seconds`, the rate on standard output.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import roundsmith.sandbox
from roundsmith.sandbox.boot import ENVIRONMENT

PROGRAM = "def f(x):\n    return x + 1\n"

_RUN = f"""
    space = {{}}
    exec(compile({PROGRAM!r}, "<solution>", "exec"), space)
    os._exit(space["f"](1) != 2)
"""
_PLAIN = f"""
import os, sys, time
def child():{_RUN}
seconds, count, start = float(sys.argv[1]), 0, time.monotonic()
while time.monotonic() - start < seconds:
    pid = os.fork()
    if not pid:
        child()
    count += not os.waitpid(pid, 0)[1]
print(count / (time.monotonic() - start))
"""
# The zygote's own confinement, without its conversation: no question, no answer, no supervisor.
_HARDENED = f"""
import os, sys, time
sys.path.append(sys.argv[2])
from roundsmith.sandbox import launcher, namespaces, profiles, syscalls
from roundsmith.sandbox.hardening import Box, Hardening, RunLimits, address_space_bytes, call
def child():{_RUN}
seconds, isolate, scratch = float(sys.argv[1]), sys.argv[3] == "T2", sys.argv[4]
readable, size = profiles.readable_paths("base"), address_space_bytes()
privileged = os.geteuid() == 0
open_to_all = isolate or profiles.open_to_all(readable)
if isolate:
    namespaces.enter(int(sys.argv[5]), readable)
uid = (1 if isolate else int(sys.argv[5])) if privileged and open_to_all else None
if uid is not None and not isolate:
    os.chown(scratch, uid, uid)
box = Box(isolate, uid, namespaces.SCRATCH if isolate else scratch, readable, size)
limits = RunLimits(14, 2**29, 2**24, 1)
first = os.fork()
if first:
    sys.exit(os.waitpid(first, 0)[1] != 0)
null = [os.open("/dev/null", os.O_RDONLY) for _ in range(9)]
start_child = Hardening(box, launcher.compiled()).launcher(limits)
own = os.pidfd_open(os.getpid())
Hardening(box, None).protect_zygote()
count, start = 0, time.monotonic()
while time.monotonic() - start < seconds:
    if isolate:
        call("setns", own, syscalls.CLONE_NEWPID)
        call("unshare", syscalls.CLONE_NEWPID)
    pid = start_child.fork(null[5:])
    if not pid:
        child()
    count += not os.waitpid(pid, 0)[1]
os.write(1, str(count / (time.monotonic() - start)).encode())
os._exit(0)
"""


def plain_rate(seconds: float) -> float:
    """Forks a second that compile, run and check the program, with nothing around it."""
    command = [sys.executable, "-I", "-S", "-c", _PLAIN, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def hardened_rate(seconds: float, tier: str, scratch: str, uid: int) -> float:
    """The same with each child confined as the zygote's are at this tier.

    Raises CalledProcessError where the kernel refuses a part of it.
    """
    root = str(Path(next(iter(roundsmith.sandbox.__path__))).parents[1])
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    arguments = (str(seconds), root, tier, scratch, str(uid))
    command = [interpreter, "-B", "-s", "-S", "-P", "-c", _HARDENED, *arguments]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ENVIRONMENT, cwd="/")
    return float(run.stdout)


def subprocess_rate(seconds: float) -> float:
    """Fresh interpreters a second that run and check the program."""
    count, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        command = [sys.executable, "-I", "-S", "-c", f"{PROGRAM}assert f(1) == 2"]
        subprocess.run(command, check=True)
        count += 1
    return count / (time.monotonic() - start)
