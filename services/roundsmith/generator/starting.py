"""Ends what a process has started when it is killed, however that happens: beside it runs this
file, `python starting.py PID`.

For vLLM's engine, whose ranks see to that themselves once they are there: one that was killed
half a minute before would leave processes that wait for ever, and hold the GPU's memory.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_LOOK_S = 0.1
Process = tuple[int, str]
"""Its number and when it began: numbers are given again."""


@contextlib.contextmanager
def nothing_is_left() -> Iterator[None]:
    """While within, what this process starts ends with it."""
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as watcher:
        try:
            assert watcher.stdout is not None
            watcher.stdout.read()  # at its end it watches
            yield
        finally:
            watcher.kill()


def watch(pid: int) -> None:
    """Follows what a process starts until it ends; then ends all of that."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    os.close(sys.stdout.fileno())
    seen: set[Process] = set()
    while not select.select([descriptor], [], [], _LOOK_S)[0]:
        seen |= set(_below(pid))
    while left := {one for one in seen if _began(one[0]) == one[1]}:
        seen |= {child for parent, _ in left for child in _below(parent)}
        for number, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def _below(pid: int) -> Iterator[Process]:
    """All that a process has started and that started, but for this process."""
    with contextlib.suppress(OSError):  # the process, or a thread of it, may end meanwhile
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, listed.read_text().split()):
                if child != os.getpid() and (began := _began(child)) is not None:
                    yield child, began
                    yield from _below(child)


def _began(pid: int) -> str | None:
    """When a living process began; None where there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else rest[18]


if __name__ == "__main__":
    watch(int(sys.argv[1]))
