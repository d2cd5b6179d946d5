"""Empties a directory that an enemy wrote, without following a link and without recursing."""

import os
from collections.abc import Collection


def empty(directory: str, keep: Collection[str] = ()) -> None:
    """Removes everything in a directory but the names to `keep`. Deep trees are pulled up level by
    level, so depth costs no stack. The directory itself, whose name only its owner can change, is
    made accessible first, where something of it is not kept by others.
    """
    if not keep:
        os.chmod(directory, 0o700)
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        serial = 0
        while names := [name for name in os.listdir(top) if name not in keep]:
            for name in names:
                serial = _remove(top, name, serial)
    finally:
        os.close(top)


def _remove(top: int, name: str, serial: int) -> int:
    try:
        os.unlink(name, dir_fd=top)
        return serial
    except IsADirectoryError:
        pass
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for child in os.listdir(inner):
            serial += 1
            os.rename(child, f"pulled-{os.getpid()}-{serial}", src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
    return serial
