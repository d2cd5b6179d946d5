"""What a run could find of another: a canary looks at its surroundings, which are alike for every
run, then leaves traces of its own for the next canary to miss.
"""

import _thread
import builtins
import ctypes
import os
import random
import resource
import signal
import sys

from roundsmith.sandbox.attempts import read_any, try_all
from roundsmith.sandbox.syscalls import LIBC

_MOST_THREADS = 8
_OWN_INODES = 1024
_TRACE = "left_by_a_canary"


def surroundings() -> dict[str, str]:
    """What is the same in every fresh child of a supervisor, by what it is called."""
    mask = os.umask(0o077)
    os.umask(mask)
    return {
        "scratch": repr(sorted(os.listdir("."))),
        "scratch_use": _scratch_use(),
        "directory": f"{os.getcwd()} {mask:o}",
        "user": f"{os.getresuid()} {os.getresgid()} {os.getgroups()}",
        "environment": repr(sorted(os.environ.items())),
        "limits": repr([resource.getrlimit(kind) for kind in range(16)]),
        "priority": f"{os.getpriority(os.PRIO_PROCESS, 0)} {sorted(os.sched_getaffinity(0))}",
        "signals": repr([signal.getsignal(number) for number in range(1, 32)]),
        "thread_name": _thread_name(),
        "modules": _digest(sorted(sys.modules)),
        "path": repr((sys.path, sys.argv, sys.getrecursionlimit())),
        "builtins": _digest(sorted(vars(builtins))),
        "computing": _computing(),
    }


def leave_traces() -> None:
    """Leaves what must be gone with this run: a file, names, settings, another seed."""
    # As bytes: a text codec may be out of reach.
    with open(_TRACE, "wb") as stream:
        stream.write(_TRACE.encode())
    setattr(builtins, _TRACE, True)
    sys.modules[_TRACE] = builtins
    os.environ[_TRACE.upper()] = "1"
    sys.path.append(_TRACE)
    os.umask(0)
    random.seed(1)
    LIBC.prctl(15, _TRACE[:15].encode(), 0, 0, 0)


def canary(
    named: list[tuple[str, tuple[object, ...]]], others: list[str]
) -> tuple[list[str], dict[str, str]]:
    """All that a canary does in a child that becomes other programs: what came of the attempts, and
    at last of reading what `others` may; its surroundings.
    """
    tried = [*try_all(named), read_any(others) if others else "refused: nothing else is here"]
    seen = surroundings()
    leave_traces()
    return tried, seen


def count_threads() -> int:
    """How many threads its limit lets it start: fewer than at first, and others of its user live.

    They end with the run.
    """
    lock = _thread.allocate_lock()
    lock.acquire()
    for started in range(_MOST_THREADS):
        try:
            _thread.start_new_thread(lock.acquire, ())
        except RuntimeError:
            return started
    return _MOST_THREADS


def _scratch_use() -> str:
    """Blocks and files in use where the directory is a file system of the run's own."""
    found = os.statvfs(".")
    own = found.f_files == _OWN_INODES
    return f"{found.f_blocks - found.f_bfree} {found.f_files - found.f_ffree}" if own else "shared"


def _thread_name() -> str:
    name = ctypes.create_string_buffer(17)
    LIBC.prctl(16, name, 0, 0, 0)
    return name.value.decode(errors="replace")


def _computing() -> str:
    """The digest of a little work whose result must not depend on when it is done."""
    words = {f"{number:x}" for number in range(64)}
    drawn = [random.random() for _ in range(8)]
    return _digest([*words, *map(repr, drawn), repr(hash("canary")), str(3**99 // 7)])


def _digest(words: list[str]) -> str:
    # Hashes are seeded alike in every interpreter (`boot.ENVIRONMENT`).
    return f"{hash(' '.join(words)) % 2**64:016x}"
