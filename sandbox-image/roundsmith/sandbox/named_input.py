"""`/dev/stdin` for scripts that name it. At T2 there is no `/proc` for that to lead through, so it
leads to a file in the directory of the run, which such a script finds there.
"""

import contextlib
import os

from roundsmith.sandbox.namespaces import STDIN, STDIN_FILE

_CHUNK = 1 << 16


def is_named(source: str) -> bool:
    """Whether a script names its input."""
    return STDIN in source


def give() -> None:
    """Writes what descriptor 0 holds to that file, in a child that has not run anything yet. Where
    it is larger than a file may be, there is none.
    """
    with contextlib.suppress(OSError):
        if os.readlink(STDIN) != STDIN_FILE:
            return
        try:
            _write()
        except OSError:
            os.unlink(STDIN_FILE)


def _write() -> None:
    at = 0
    with open(STDIN_FILE, "xb", buffering=0) as stream:
        while chunk := os.pread(0, _CHUNK, at):
            at += stream.write(chunk)
