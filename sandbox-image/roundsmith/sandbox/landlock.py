"""Landlock: read the runtime tree, write the run's own directory, no TCP, no signal or abstract
socket out.
"""

import ctypes
import os
from collections.abc import Iterable

from roundsmith.sandbox.syscalls import syscall

READ = 1 << 2 | 1 << 3  # read file, read directory
READ_FILE = 1 << 2
EXECUTE = 1 << 0
# What the run's own directory allows besides: write, remove, make directories and plain files,
# truncate.
WRITE = READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14
# Bits of the file rights that each ABI knows, then TCP bind and connect, then both scopes.
_FILE_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The Landlock ABI of this kernel, 0 where it has none."""
    try:
        return syscall("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def build(readable: Iterable[str], writable: str, executable: Iterable[str] = ()) -> int:
    """A ruleset as a descriptor, made once before any fork. Raises OSError where Landlock is
    absent.

    Paths that do not exist are left out.
    """
    version = abi()
    handled = (1 << _FILE_BITS[min(max(version, 1), 5)]) - 1
    ruleset = _Ruleset(handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    descriptor = syscall("landlock_create_ruleset", ctypes.byref(ruleset), size, 0)
    for path in readable:
        if os.path.exists(path):
            _allow(descriptor, path, (READ if os.path.isdir(path) else READ_FILE) & handled)
    for path in executable:
        rights = EXECUTE | (READ if os.path.isdir(path) else READ_FILE)
        _allow(descriptor, path, rights & handled)
    if os.path.exists("/dev/null"):
        _allow(descriptor, "/dev/null", READ_FILE | 1 << 1)
    _allow(descriptor, writable, WRITE & handled)
    return descriptor


def _allow(ruleset: int, path: str, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(rights, parent)
        syscall("landlock_add_rule", ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(parent)
