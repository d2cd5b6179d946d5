"""Which kernel answers: the machine's, or gVisor's around this sandbox.

Asked by trusted code before the first program runs. gVisor's own kernel log begins with its name at
time zero, and its `/proc` has a file of its own. A program on a machine's kernel can bring about
neither: what it logs there is stamped with a later time, and `/proc` is the kernel's.
"""

import ctypes
import os
import re

from roundsmith.sandbox.syscalls import LIBC

_READ_ALL = 3
FIRST_LINE = re.compile(rb"<\d+>\[ *0\.000000\] Starting gVisor\.\.\.\n")


def gvisor() -> str:
    """What shows that the kernel is gVisor's; empty where anything of it is missing."""
    if not os.path.exists("/proc/sentry-meminfo"):
        return ""
    log = ctypes.create_string_buffer(4096)
    size = int(LIBC.klogctl(_READ_ALL, log, len(log)))
    # What is read are the last bytes that fit; the whole log of gVisor is shorter.
    if size <= 0 or not FIRST_LINE.match(log.raw[:size]):
        return ""
    return f"gVisor, which calls itself Linux {os.uname().release}"
