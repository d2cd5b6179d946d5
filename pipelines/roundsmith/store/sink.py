"""A file that is hashed while it is written, so that its name is known when it is complete."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from roundsmith.storage import storage_errors


class HashingFile(io.RawIOBase):
    """Passes bytes on to a file and counts and hashes them on the way."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.num_bytes = 0
        self._discarding = False

    def writable(self) -> bool:
        return True

    def write(self, content: bytes | memoryview) -> int:  # type: ignore[override]  # Arrow's
        if self._discarding:
            return len(content)
        with storage_errors(self._stream.name):
            self._stream.write(content)
        self.sha256.update(content)
        self.num_bytes += len(content)
        return len(content)

    def discard(self) -> None:
        """Take bytes and drop them from here on, so that a writer above closes after a failure."""
        self._discarding = True

    def tell(self) -> int:
        return self.num_bytes


@contextmanager
def synced(path: Path) -> Iterator[HashingFile]:
    """A hashed file at `path`, flushed to disk when the block ends without an error."""
    with storage_errors(str(path)):
        # Unbuffered: a full disk shows at the write, never at a close that nothing expects to fail.
        stream = path.open("wb", buffering=0)
    with stream:
        yield HashingFile(stream)
        with storage_errors(str(path)):
            os.fsync(stream.fileno())
