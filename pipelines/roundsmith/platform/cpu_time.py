"""CPU time of this process and of all below it, read from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""Place of `utime` among what follows the name in /proc/PID/stat; stime, cutime, cstime follow."""


def tree_cpu_s(pid: int | None = None) -> float:
    """CPU seconds of a process (this one by default), of its living descendants, and of those that
    ended and were waited for.
    """
    waiting, seconds = [os.getpid() if pid is None else pid], 0.0
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        try:
            after_name = (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            seconds += sum(int(ticks) for ticks in after_name[_UTIME : _UTIME + 4]) / _TICKS
            for thread in (process / "task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
    return seconds
