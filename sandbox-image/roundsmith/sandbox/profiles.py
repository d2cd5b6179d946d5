"""Import profiles: the modules that a zygote has loaded before it forks, and what its children may
read.
"""

import os
import sys
from collections.abc import Iterator

PRELOADED = {
    "base": (
        "bisect",
        "cmath",
        "collections",
        "copy",
        "datetime",
        "functools",
        "heapq",
        "itertools",
        "math",
        "operator",
        "random",
        "re",
        "string",
        "typing",
    ),
}


def readable_paths(profile: str) -> tuple[str, ...]:
    """The runtime tree: the standard library, shared libraries, time zones. Nothing else exists for
    a child.
    """
    paths = (
        os.path.dirname(os.__file__),
        os.path.join(sys.base_prefix, "lib"),
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/share/zoneinfo",
        "/etc/ld.so.cache",
        "/dev/urandom",
    )
    real = {os.path.realpath(path) for path in paths if os.path.exists(path)}
    roots = [path for path in real if not any(path.startswith(other + "/") for other in real)]
    links = [path for path in ("/lib", "/lib64") if os.path.islink(path)]
    return (*sorted(roots), *links)


def open_to_all(paths: tuple[str, ...]) -> bool:
    """Whether any user may enter the directories above every path."""
    return all(os.stat(parent).st_mode & 0o001 for path in paths for parent in _above(path))


def _above(path: str) -> Iterator[str]:
    while path != (path := os.path.dirname(path)):
        yield path
