"""Run by a bare interpreter with the name of a JSON file: prepares itself as a zygote does, then
lets `fork_loop.c` fork. Programs a second of CPU time, and by the clock, to standard output.
"""

import ctypes
import gc
import json
import os
import resource
import sys
import time
from typing import Any


class _Loop(ctypes.Structure):
    _fields_ = (
        ("steps", ctypes.c_void_p),
        ("num_steps", ctypes.c_long),
        ("work", ctypes.py_object),
        ("at", ctypes.POINTER(ctypes.c_long)),
        ("num_programs", ctypes.c_long),
        ("own_pidfd", ctypes.c_long),
        ("seconds", ctypes.c_double),
    )


def main(asked: dict[str, Any]) -> None:
    """Runs the programs of `asked`; `tier` is T1, T2, or empty for a fork that confines nothing."""
    sys.path.append(asked["root"])
    from roundsmith.sandbox import hardening, profiles, solver
    from roundsmith.sandbox.supervisor import make_box, prepare_interpreter

    library = ctypes.PyDLL(asked["library"])
    library.roundsmith_fork_loop.restype = ctypes.c_long
    prepare_interpreter()
    isolate, steps = asked["tier"] == "T2", (0, 0)
    if asked["tier"]:
        readable = profiles.readable_paths()
        box = make_box(isolate, asked["uid"], readable, asked["scratch"])
        if isolate and os.fork():
            # Only the first child is in the process namespace.
            os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
        nowhere = [os.open("/dev/null", os.O_RDWR) for _ in range(8)]
        confining = hardening.Hardening(box, None)
        launcher = confining.launcher(hardening.RunLimits(64, 2**29, 2**24, 1))
        steps = launcher.place(nowhere[4:])
        own_pidfd = os.pidfd_open(os.getpid()) if isolate else -1
        confining.protect_zygote()
    solver.prepared()
    gc.collect()
    gc.freeze()
    at = ctypes.c_long(0)
    loop = _Loop(
        *steps,
        _work(asked["programs"], at),
        ctypes.pointer(at),
        len(asked["programs"]),
        own_pidfd if asked["tier"] else -1,
        asked["seconds"],
    )
    start, cpu_s = time.monotonic(), _cpu_s()
    count = library.roundsmith_fork_loop(ctypes.byref(loop))
    rates = count / (_cpu_s() - cpu_s), count / (time.monotonic() - start)
    os.write(1, f"{rates[0]} {rates[1]}".encode())
    os._exit(0)


def _cpu_s() -> float:
    """Of this process and the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _work(programs: list[tuple[str, str, list[str]]], at: ctypes.c_long) -> Any:
    def work() -> None:
        setup, source, tests = programs[at.value]
        namespace = {"__name__": "solution"}
        for text in (setup, source, *tests):
            exec(compile(text, "<solution>", "exec", dont_inherit=True), namespace)
        os._exit(0)

    return work


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as stream:
        content = json.load(stream)
    main(content)
