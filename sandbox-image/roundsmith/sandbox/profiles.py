"""Profiles: what a zygote has loaded before it forks, and what its children may read."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from roundsmith.sandbox import languages, packages
from roundsmith.sandbox.languages import Language

BASE, SCIENTIFIC = "base", "scientific"
PYTHON = (BASE, SCIENTIFIC)
ONLY = ""
_LOADERS = tuple(filter(os.path.exists, (languages.LOADER,)))
_NEEDS_T2 = (
    "programs of other languages need the namespaces of T2: without them what is started can not "
    "be kept to its own files"
)
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


class Rights(NamedTuple):
    """What the children of one zygote may do."""

    readable: tuple[str, ...]
    executable: tuple[str, ...] = ()
    """What they may start, in a profile of another language."""
    address_space: int = 0
    """Bytes that what they start may reserve on top of the program's memory."""
    pairs: bool = False
    """Whether they may make a pair of connected sockets."""


class Profile(NamedTuple):
    """One profile as it is here."""

    modules: tuple[str, ...]
    """What its zygotes load besides `MODULES`."""
    packages: Mapping[str, str]
    """Where the packages are that its modules need besides the standard library."""
    rights: Mapping[str, Rights]
    """By phase: Python has one, of no name, another language `compile` and `run`."""


class Profiles(NamedTuple):
    """Those that are here by name, and why the others are not."""

    here: dict[str, Profile]
    missing: dict[str, str]
    languages: dict[str, Language]

    @property
    def readable(self) -> tuple[str, ...]:
        """What any of them reads."""
        rights = [one for profile in self.here.values() for one in profile.rights.values()]
        paths = dict.fromkeys(p for one in rights for p in (*one.readable, *one.executable))
        # What lies in a folder that is seen is seen with it.
        return tuple(path for path in paths if not any(above in paths for above in _above(path)))


def find(places: Mapping[str, str], isolate: bool) -> Profiles:
    """The profiles for packages at these places. Without namespaces a child has the rights of any
    user, who must be able to enter the folders above the packages.
    """
    base = readable_paths()
    here, missing = {BASE: Profile((), {}, {ONLY: Rights(base)})}, {}
    beside = packages.readable_paths(places)
    lacking = [name for name in packages.NEEDED if name not in places]
    closed = not isolate and os.geteuid() == 0 and open_to_all(base) and not open_to_all(beside)
    if lacking:
        missing[SCIENTIFIC] = f"not installed beside the sandbox: {', '.join(lacking)}"
    elif closed:
        missing[SCIENTIFIC] = "its packages are below a folder that other users can not enter"
    else:
        rights = {ONLY: Rights((*base, *beside))}
        here[SCIENTIFIC] = Profile(_SCIENTIFIC_MODULES, places, rights)
    found, lacking_tools = languages.find()
    missing |= lacking_tools
    if isolate:
        here |= {name: _of_language(language, base) for name, language in found.items()}
    else:
        missing |= dict.fromkeys(found, _NEEDS_T2)
    return Profiles(here, missing, found)


def _of_language(language: Language, base: tuple[str, ...]) -> Profile:
    compiling = Rights(
        (*base, *language.headers),
        (*language.tools, *_LOADERS),
        languages.LIMITS.memory_bytes,
        language.pairs,
    )
    started = (language.interpreter,) if language.interpreter else ()
    libraries = (*base, *language.libraries) if language.loader else ("/dev/urandom",)
    running = Rights(
        libraries, (*started, *language.loader), language.address_space, language.pairs
    )
    return Profile((), {}, {languages.COMPILE: compiling, languages.RUN: running})


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
