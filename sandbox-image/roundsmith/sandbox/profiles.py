"""Profiles: what a zygote has loaded before it forks, and what its children may read."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from roundsmith.sandbox import packages

BASE, SCIENTIFIC = "base", "scientific"
MODULES = (
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
)
# What the packages load at first use, and so each child anew.
_SCIENTIFIC_MODULES = (
    "unittest",
    "numpy.fft",
    "numpy.linalg",
    "numpy.polynomial",
    "numpy.random",
    "numpy.testing",
    "pandas.testing",
)


class Profile(NamedTuple):
    """One profile as it is here."""

    modules: tuple[str, ...]
    """What its zygote loads besides `MODULES`."""
    packages: Mapping[str, str]
    """Where the packages are that its modules need besides the standard library."""
    readable: tuple[str, ...]


class Profiles(NamedTuple):
    """Those that are here by name, and why the others are not."""

    here: dict[str, Profile]
    missing: dict[str, str]

    @property
    def readable(self) -> tuple[str, ...]:
        """What any of them reads."""
        return tuple(dict.fromkeys(p for profile in self.here.values() for p in profile.readable))


def find(places: Mapping[str, str], isolate: bool) -> Profiles:
    """The profiles for packages at these places. Without namespaces a child has the rights of any
    user, who must be able to enter the folders above the packages.
    """
    base = readable_paths()
    here, missing = {BASE: Profile((), {}, base)}, {}
    beside = packages.readable_paths(places)
    lacking = [name for name in packages.NEEDED if name not in places]
    closed = not isolate and os.geteuid() == 0 and open_to_all(base) and not open_to_all(beside)
    if lacking:
        missing[SCIENTIFIC] = f"not installed beside the sandbox: {', '.join(lacking)}"
    elif closed:
        missing[SCIENTIFIC] = "its packages are below a folder that other users can not enter"
    else:
        here[SCIENTIFIC] = Profile(_SCIENTIFIC_MODULES, places, (*base, *beside))
    return Profiles(here, missing)


def readable_paths() -> tuple[str, ...]:
    """The runtime tree: the standard library, shared libraries, time zones. Nothing else exists for
    a child of `base`.
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
