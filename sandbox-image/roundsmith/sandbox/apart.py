"""A frame in memory that no fork inherits, where `supervising.c` does not read it into such. It is
a module of its own because few supervisors need it, and a fork copies what a library maps.
"""

import mmap
import os

from roundsmith.sandbox.codec import HEADER
from roundsmith.sandbox.frames import read_exactly


def read_frame_apart(fd: int) -> memoryview:
    """One frame from a trusted side; raises EOFError when it closed."""
    (size,) = HEADER.unpack(read_exactly(fd, HEADER.size))
    held = mmap.mmap(-1, max(size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.madvise(mmap.MADV_DONTFORK)
    view, at = memoryview(held)[:size], 0
    while at < size:
        got = os.readv(fd, [view[at:]])
        if not got:
            raise EOFError("the other side closed")
        at += got
    return view
