"""A subreaper's duty: what a dead process left behind comes to it, is killed and reaped."""

import os
import signal
from collections.abc import Collection


def sweep(keep: Collection[int]) -> None:
    """Kills and reaps the calling thread's children, but for `keep`, until nothing is left.

    A killed child's own children come here in turn, so a whole tree goes, however deep.
    """
    while True:
        left = [pid for pid in _children() if pid not in keep]
        if not left:
            return
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _children() -> list[int]:
    try:
        # As bytes: no child may see that its zygote has loaded a text codec meanwhile.
        with open("/proc/thread-self/children", "rb") as stream:
            return [int(pid) for pid in stream.read().split()]
    except FileNotFoundError:
        # gVisor lists no children.
        numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        return [pid for pid in numbers if _parent(pid) == os.getpid()]


def _parent(pid: int) -> int:
    """The parent of a process, 0 of one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return int(stream.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
