"""What this machine can do for a round; each check looks, or tries, and says what to do."""

import asyncio
import importlib.metadata
import importlib.util
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roundsmith.config import cpu_count, offline
from roundsmith.errors import ConfigError, SandboxError
from roundsmith.installing import how_to_install

LOCAL = ("torch", "transformers", "trl", "datasets", "safetensors")
CLUSTER = ("kfp", "kubernetes", "kserve")
MIN_MEMORY_GB = 3.0
"""A round on the lab: two copies of a small model, torch five times, and what Arrow holds."""
MIN_DISK_GB = 2.0
PORTS = 6
"""Listeners of the four services on one machine."""
LEAVES = {
    "T1": "system calls are filtered; files, CPU, memory and output are limited. Not stopped: "
    "flaws of the kernel behind the calls that stay open, side channels, seeing that other "
    "processes run and which files there are, filling the disk with many files while a run lasts",
    "T2": "as T1, in namespaces of its own: no network, no files and no processes of the host. Not "
    "stopped: flaws of the kernel behind the calls that stay open, side channels",
    "T3": "a kernel of its own (gVisor) around T1 without Landlock. Not stopped: flaws of that "
    "kernel, side channels, reading the container's own files",
}
"""What each tier does, and what it does not stop."""
FLOOR = "T2"
"""The least that a run on one machine accepts without being told to."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `remedy` is empty where there is nothing to do."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def checks() -> list[Check]:
    """Every check, in the order a person would mend them; takes a few seconds."""
    every: tuple[Callable[[], Check], ...] = (
        python,
        packages,
        cores,
        memory,
        disk,
        lab_model,
        isolation,
        ports,
        gpu,
        hub,
        cluster,
    )
    return [check() for check in every]


def python() -> Check:
    """The version of Python."""
    seen = ".".join(map(str, sys.version_info[:3]))
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("python", ok, seen, "" if ok else "use Python 3.11, 3.12 or 3.13")


def packages() -> Check:
    """The packages that models and training need; looked for, not imported."""
    versions = _versions(LOCAL)
    missing = [name for name in LOCAL if name not in versions]
    remedy = f"missing: {', '.join(missing)}: {how_to_install('local')}" if missing else ""
    return Check("packages", not missing, _listed(versions), remedy)


def cores() -> Check:
    """Cores that this process may use."""
    return Check("cores", True, f"{cpu_count()}")


def memory() -> Check:
    """Memory that can still be taken."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    free, total = kib["MemAvailable"] / 2**20, kib["MemTotal"] / 2**20
    ok = free >= MIN_MEMORY_GB
    remedy = "" if ok else f"free memory: a round on the lab needs about {MIN_MEMORY_GB:.0f} GiB"
    return Check("memory", ok, f"{free:.1f} of {total:.1f} GiB available", remedy)


def disk(folder: Path = Path()) -> Check:
    """Disk left where runs are written."""
    free = shutil.disk_usage(folder).free / 2**30
    ok = free >= MIN_DISK_GB
    remedy = "" if ok else f"free {MIN_DISK_GB:.0f} GiB, or give --out a folder on another disk"
    return Check("disk", ok, f"{free:.1f} GiB free in {folder.resolve()}", remedy)


def lab_model(folder: Path | None = None) -> Check:
    """The base model that ships with the package, and its version."""
    from roundsmith.hashing import weights_sha256
    from roundsmith.lab import MODEL

    chosen = folder or MODEL
    try:
        version = weights_sha256(chosen)
    except ConfigError as error:
        remedy = "install Roundsmith again, or make it with: roundsmith lab train"
        return Check("lab model", False, str(error), remedy)
    return Check("lab model", True, f"weights {version[:16]}")


def isolation() -> Check:
    """The tier that holds here when a program tries what it must not do, and what it leaves."""
    from roundsmith.executor.pool import Pool
    from roundsmith.executor.settings import ExecutorSettings

    async def tried() -> Check:
        async with Pool(ExecutorSettings(slots=1, floor="T1")) as pool:
            held = pool.capabilities()
        lost = [
            f"{check.name}: {check.detail}"
            for check in held.checks
            if not check.holds and check.tier <= FLOOR
        ]
        detail = f"{held.tier}: {LEAVES[held.tier]}"
        lower = f"or accept {held.tier}: executor_floor of [services] in a --config file"
        remedy = f"for {FLOOR}: {'; '.join(lost)}; {lower}" if lost else ""
        return Check("isolation", held.tier >= FLOOR, detail, remedy)

    try:
        return asyncio.run(tried())
    except SandboxError as error:
        remedy = "use a kernel with seccomp and Landlock; programs are not run without them"
        return Check("isolation", False, str(error), remedy)


def ports() -> Check:
    """Whether the services could listen on loopback."""
    try:
        opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(PORTS)]
    except OSError as error:
        return Check("ports", False, f"127.0.0.1: {error}", "allow listening on loopback")
    for listener in opened:
        listener.close()
    return Check("ports", True, f"{PORTS} on 127.0.0.1 can be bound")


def gpu() -> Check:
    """NVIDIA devices; none is fine."""
    found = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    return Check("gpu", True, ", ".join(found) or "none: everything runs on the CPU")


def hub() -> Check:
    """Whether models may be fetched from the hub."""
    if offline():
        return Check("hub", True, "HF_HUB_OFFLINE is set: models come from folders and the cache")
    return Check("hub", True, "models given by hub id are fetched when they are not in the cache")


def cluster() -> Check:
    """What compiling and submitting pipelines needs; none is fine."""
    versions = _versions(CLUSTER)
    if "kfp" in versions:
        return Check("kubeflow", True, _listed(versions))
    remedy = f"for `roundsmith compile`: {how_to_install('cluster')}"
    return Check("kubeflow", True, _listed(versions), remedy)


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    there = [name for name in names if importlib.util.find_spec(name) is not None]
    return {name: importlib.metadata.version(name) for name in there}


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "none"
