"""Profiles of other languages: how a program is compiled and run, with which tools, and what each
of the two phases may read and start. A tool that is not here makes its profile missing, by name.
"""

import glob
import os
from typing import NamedTuple

from roundsmith.sandbox import go_packages

COMPILE, RUN = "compile", "run"
PHASES = (COMPILE, RUN)
LOADER = "/lib64/ld-linux-x86-64.so.2"
_HUGE = 2**36
"""Address space where a runtime reserves much that it does not use: its memory is bounded by what
it can write. Not without end, since the kernel's tables take a 512th of what is only read.
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
    compile: tuple[tuple[str, ...], ...]
    """Commands, one after the other."""
    product: str
    run: tuple[str, ...]
    """The program's arguments; where `interpreter` is set, the interpreter's. `MEMORY` stands for
    the program's memory limit in bytes.
    """
    tools: tuple[str, ...]
    """What the compiler may start: files and folders."""
    address_space: int
    writable: int
    """What the runtime writes for itself, in bytes, on top of the program's memory."""
    interpreter: str = ""
    """What is started and reads the product as a file; empty where the product itself is started,
    from memory.
    """
    packed: str = ""
    """The ending of the files that the product is an archive of."""
    headers: tuple[str, ...] = ()
    """What the compiler reads besides the system's libraries."""
    libraries: tuple[str, ...] = ()
    """What the run reads besides them, where it has a loader."""
    loader: tuple[str, ...] = ()
    """What the run may start besides: the loader of shared libraries."""
    threads: int = 0
    """Those of the runtime itself, on top of the program's own."""
    pairs: bool = False
    """Whether compiler and run need a pair of connected sockets of their own, which reach nobody
    else.
    """
    environment: tuple[tuple[str, str], ...] = ()
    """Of compiler and run, besides what every program finds there; `MEMORY` as above."""


LIMITS = Limits()
MEMORY = "{memory}"


def find() -> tuple[dict[str, Language], dict[str, str]]:
    """The languages that are here, and of the others what is missing."""
    here, missing = {}, {}
    for name, make in _MAKERS.items():
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
            (
                *("/usr/bin/g++", "-std=c++20", "-O2", "-pipe", "-static", "-s"),
                *("-o", "program", "program.cpp"),
            ),
        ),
        product="program",
        run=("program",),
        tools=(*tools, *filter(os.path.isdir, ("/usr/lib/gcc", "/usr/libexec/gcc"))),
        headers=("/usr/include",),
        address_space=16 * 2**20,
        writable=2 * 2**20,
    )


def _node() -> Language | str:
    node = os.path.realpath("/usr/bin/node")
    if absent := _absent((node, LOADER)):
        return absent
    # Debian keeps what others build into the program as files.
    built_in = tuple(filter(os.path.isdir, ("/usr/share/nodejs",)))
    return Language(
        source="program.js",
        compile=((node, "--check", "program.js"),),
        product="program.js",
        run=("node", "program.js"),
        interpreter=node,
        tools=(node,),
        headers=built_in,
        libraries=built_in,
        loader=(LOADER,),
        threads=12,
        address_space=_HUGE,
        writable=192 * 2**20,
    )


def _go() -> Language | str:
    root = go_packages.root()
    if not root:
        return f"{go_packages.ROOTS[0]}/bin/go"
    if not (packages := go_packages.find(root)):
        return f"Go's packages in compiled form, which `{go_packages.COMMAND}` makes"
    tools = glob.glob(f"{root}/pkg/tool/linux_*/compile")
    if not tools:
        return f"{root}/pkg/tool/linux_*/compile"
    # A distribution has links here to folders that a run does not see by another name.
    compiler, packages = map(os.path.realpath, (tools[0], packages))
    linker = os.path.join(os.path.dirname(compiler), "link")
    return Language(
        source="program.go",
        # Without `go build`, which would have to know all of Go anew for each program.
        compile=(
            (compiler, "-p", "main", "-pack", "-I", packages, "-o", "program.a", "program.go"),
            (linker, "-s", "-w", "-L", packages, "-o", "program", "program.a"),
        ),
        product="program",
        run=("program",),
        tools=(compiler, linker),
        headers=(packages,),
        threads=12,
        address_space=_HUGE,
        writable=48 * 2**20,
        environment=(("GOMAXPROCS", "1"), ("GOMEMLIMIT", MEMORY)),
    )


def _java() -> Language | str:
    compiler = os.path.realpath("/usr/bin/javac")
    home = os.path.dirname(os.path.dirname(compiler))
    runtime = f"{home}/bin/java"
    if absent := _absent((compiler, runtime, LOADER)):
        return absent
    settings = {os.path.dirname(os.path.realpath(path)) for path in _settings_of_java(home)}
    small = (
        *("-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:-UseContainerSupport"),
        *("-XX:ReservedCodeCacheSize=64m", "-XX:CompressedClassSpaceSize=64m"),
    )
    quick = (*small, "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m")
    return Language(
        source="Main.java",
        compile=(
            (
                *(compiler, *(f"-J{flag}" for flag in quick)),
                *("-proc:none", "-encoding", "UTF-8", "-d", ".", "Main.java"),
            ),
        ),
        product="program.jar",
        packed=".class",
        run=(
            *(runtime, *small, f"-Xmx{MEMORY}", "-Xss16m", "-XX:ActiveProcessorCount=1"),
            *("-XX:-UseDynamicNumberOfCompilerThreads", "-XX:+DisableAttachMechanism"),
            *("-XX:ErrorFile=/dev/null", "-cp", "program.jar", "Main"),
        ),
        interpreter=runtime,
        tools=(compiler,),
        headers=(home, *sorted(settings)),
        libraries=(home, *sorted(settings)),
        loader=(LOADER,),
        threads=20,
        pairs=True,
        address_space=_HUGE,
        writable=192 * 2**20,
        # It would look for its libraries beside its own file, which `/proc` would tell.
        environment=(("LD_LIBRARY_PATH", f"{home}/lib"), ("MALLOC_ARENA_MAX", "1")),
    )


def _settings_of_java(home: str) -> list[str]:
    """Files that a distribution may keep elsewhere."""
    return [f"{home}/lib/jvm.cfg", *glob.glob(f"{home}/conf/*"), *glob.glob(f"{home}/conf/*/*")]


_MAKERS = {"cpp": _cpp, "go": _go, "java": _java, "node": _node}
