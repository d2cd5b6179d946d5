"""Empties a directory that an enemy wrote, without following a link and without recursing."""

import os
from collections.abc import Collection, Iterator
from itertools import count


def empty(directory: str, keep: Collection[str] = ()) -> None:
    """Removes everything in a directory but the names to `keep`. Deep trees are pulled up level by
    level, so depth costs no stack. The directory itself, whose name only its owner can change, is
    made accessible first, where something of it is not kept by others.
    """
    if not keep:
        os.chmod(directory, 0o700)
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    # Drawn when nothing of the enemy lives, so that none of its directories has such a name.
    unused = map(f"pulled-{os.urandom(16).hex()}-{{}}".format, count())
    try:
        while names := [name for name in os.listdir(top) if name not in keep]:
            for name in names:
                _remove(top, name, unused)
    finally:
        os.close(top)


def _remove(top: int, name: str, unused: Iterator[str]) -> None:
    try:
        os.unlink(name, dir_fd=top)
        return
    except IsADirectoryError:
        pass
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for child in os.listdir(inner):
            os.rename(child, next(unused), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
