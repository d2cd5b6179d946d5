"""A subreaper's duty: what a dead process left behind comes to it, is killed and reaped."""

import os
import signal
from collections.abc import Collection


def sweep(keep: Collection[int]) -> None:
    """Kills and reaps the calling thread's children, but for `keep`, until nothing is left.

    A killed child's own children come here in turn, so a whole tree goes, however deep.
    """
    while True:
        with open("/proc/thread-self/children", encoding="ascii") as stream:
            left = [int(pid) for pid in stream.read().split() if int(pid) not in keep]
        if not left:
            return
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
