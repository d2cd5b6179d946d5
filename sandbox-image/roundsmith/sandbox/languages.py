"""Profiles of other languages: how a program is compiled and run, with which tools, and what each
of the two phases may read and start. A tool that is not here makes its profile missing, by name.
"""

import glob
import os
from typing import NamedTuple

COMPILE, RUN = "compile", "run"
LOADER = "/lib64/ld-linux-x86-64.so.2"
_HUGE = 2**46
"""Address space where a runtime reserves much that it does not use: its memory is bounded by what
it can write.
"""


class Limits(NamedTuple):
    """What compiling may use."""

    cpu_s: float = 20.0
    wall_factor: float = 4.0
    memory_bytes: int = 2**30
    file_bytes: int = 64 * 2**20
    processes: int = 32


class Language(NamedTuple):
    """One language as it is here. `compile` makes the file `product` out of the file `source`."""

    source: str
    compile: tuple[str, ...]
    product: str
    run: tuple[str, ...]
    """The program's arguments; where `interpreter` is set, the interpreter's."""
    interpreter: str
    """What is started and reads the product as a file; empty where the product itself is started,
    from memory.
    """
    tools: tuple[str, ...]
    """What the compiler may start: files and folders."""
    headers: tuple[str, ...]
    """What it reads besides the system's libraries."""
    loader: tuple[str, ...]
    """What the run may start besides: the loader of shared libraries."""
    threads: int
    """Those of the runtime itself, on top of the program's own."""
    address_space: int
    writable: int
    """What the runtime writes for itself, in bytes, on top of the program's memory."""


LIMITS = Limits()


def find() -> tuple[dict[str, Language], dict[str, str]]:
    """The languages that are here, and of the others what is missing."""
    here, missing = {}, {}
    for name, make in (("cpp", _cpp), ("node", _node)):
        made = make()
        if isinstance(made, str):
            missing[name] = f"not installed beside the sandbox: {made}"
        else:
            here[name] = made
    return here, missing


def _absent(paths: tuple[str, ...]) -> str:
    """The first that matches nothing; empty when all are there."""
    return next((path for path in paths if not glob.glob(path)), "")


def _cpp() -> Language | str:
    static = ("/usr/lib/*/libc.a", "/usr/lib/gcc/*/*/libstdc++.a", "/usr/lib*/gcc/*/*/cc1plus")
    tools = ("/usr/bin/g++", "/usr/bin/as", "/usr/bin/ld")
    if absent := _absent((*tools, *static, LOADER)):
        return absent
    return Language(
        source="program.cpp",
        # Linked whole, so that a run needs no file of this system.
        compile=(
            *("/usr/bin/g++", "-std=c++20", "-O2", "-pipe", "-static", "-s"),
            *("-o", "program", "program.cpp"),
        ),
        product="program",
        run=("program",),
        interpreter="",
        tools=(*tools, *filter(os.path.isdir, ("/usr/lib/gcc", "/usr/libexec/gcc"))),
        headers=("/usr/include",),
        loader=(),
        threads=0,
        address_space=16 * 2**20,
        writable=2 * 2**20,
    )


def _node() -> Language | str:
    node = os.path.realpath("/usr/bin/node")
    if absent := _absent((node, LOADER)):
        return absent
    return Language(
        source="program.js",
        compile=(node, "--check", "program.js"),
        product="program.js",
        run=("node", "program.js"),
        interpreter=node,
        tools=(node,),
        headers=(),
        loader=(LOADER,),
        threads=12,
        address_space=_HUGE,
        writable=192 * 2**20,
    )
