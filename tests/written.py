"""Whether a file's bytes are on the disk, or in memory alone, where a power cut takes them."""

import fcntl
import os
import struct
from pathlib import Path

import pytest

_FIEMAP = 0xC020660B
_REQUEST = struct.Struct("=QQLLLL")
_EXTENT = struct.Struct("=QQQQQLLLL")
_NO_PLACE_YET = 0x4


def is_on_disk(path: Path) -> bool:
    """Whether the file has its place on the disk. Skips where the file system does not tell."""
    control = path.with_name("never-synced")
    control.write_bytes(b"in memory")
    try:
        if _has_place(control):
            pytest.skip("needs a file system that tells of files without a place, such as ext4")
    except OSError as error:
        pytest.skip(f"needs a file system that tells where files lie: {error}")
    finally:
        control.unlink()
    return _has_place(path)


def _has_place(path: Path) -> bool:
    request = _REQUEST.pack(0, 2**64 - 1, 0, 0, 1, 0) + bytes(_EXTENT.size)
    with path.open("rb") as file:
        told = fcntl.ioctl(file.fileno(), _FIEMAP, request)
    flags = _EXTENT.unpack_from(told, _REQUEST.size)[5]
    assert os.path.getsize(path) > 0
    return not flags & _NO_PLACE_YET
