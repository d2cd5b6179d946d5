"""CPU time of this process and of all below it, read from /proc."""

import os
from contextlib import suppress
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds by which the kernel counts it."""
_UTIME = 11
"""Place of `utime` among what follows the name in /proc/PID/stat; stime, cutime, cstime follow."""


def tree_cpu_s() -> float:
    """CPU seconds of this process, of its living descendants, and of those that ended and were
    waited for. What ends while it is looked at has nothing to tell; its parent has it.
    """
    waiting, ticks = [str(os.getpid())], 0
    while waiting:
        process = f"/proc/{waiting.pop()}"
        with suppress(FileNotFoundError, ProcessLookupError):
            after_name = _read(f"{process}/stat").rpartition(")")[2].split()
            ticks += sum(map(int, after_name[_UTIME : _UTIME + 4]))
            for thread in os.listdir(f"{process}/task"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    waiting += _read(f"{process}/task/{thread}/children").split()
    return ticks * TICK_S


def _read(path: str) -> str:
    return Path(path).read_text("utf-8", "replace")
