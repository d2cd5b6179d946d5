"""Runs a module on a machine without a name, as far as the kernel lets one tell a process so.

python -m tests.pipelines.training.nameless MODULE ARGUMENTS
"""

import ctypes
import os
import socket
import sys

from roundsmith.sandbox.syscalls import CLONE_NEWUTS

if __name__ == "__main__":
    if ctypes.CDLL(None).unshare(CLONE_NEWUTS) == 0:
        socket.sethostname("")
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
