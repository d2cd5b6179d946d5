"""Length-prefixed frames over a file descriptor, by read and write only: a solver has no socket
calls.
"""

import os
from collections.abc import Iterator

from roundsmith.sandbox.codec import HEADER, CodecError

MAX_FRAME = 2 * 2**20


def write_frame(fd: int, *parts: bytes) -> None:
    """Writes one frame of the parts joined. Raises OSError when the other side is gone."""
    size = sum(map(len, parts))
    view = memoryview(b"".join((HEADER.pack(size), *parts)))
    while view:
        view = view[os.write(fd, view) :]


def read_frame(fd: int) -> bytes:
    """Reads one frame from a trusted side; raises EOFError when it closed."""
    (size,) = HEADER.unpack(read_exactly(fd, HEADER.size))
    return read_exactly(fd, size)


def read_exactly(fd: int, size: int) -> bytes:
    """So many bytes from a trusted side; raises EOFError when it closed."""
    chunks = []
    while size:
        chunk = os.read(fd, size)
        if not chunk:
            raise EOFError("the other side closed")
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


class FrameBuffer:
    """Frames out of chunks as they arrive, of `most` bytes each, so that an enemy is bounded."""

    def __init__(self, most: int = MAX_FRAME) -> None:
        self._pending, self._most = bytearray(), most

    def feed(self, chunk: bytes) -> None:
        """Adds what was read."""
        self._pending += chunk

    def frames(self) -> Iterator[bytes]:
        """The whole frames so far. Raises CodecError for one that announces more than the limit."""
        while len(self._pending) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._pending)
            if size > self._most:
                raise CodecError(f"a frame of {size} bytes, expected at most {self._most}")
            end = HEADER.size + size
            if len(self._pending) < end:
                return
            frame = bytes(self._pending[HEADER.size : end])
            del self._pending[:end]
            yield frame

    @property
    def waiting(self) -> int:
        """Bytes of a frame that was begun and not ended."""
        return len(self._pending)
