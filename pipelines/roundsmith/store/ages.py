"""How old stored files are, by the storage's own clock and by whether their writer lives: this
machine's clock may be another, and either may jump.
"""

import os
import re
import socket
import time
import uuid
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

STALE_S = 24 * 3600.0
"""What a writer that is gone has left is removed after so long."""
RENEWED_S = STALE_S / 2
"""An object that is made again when it is so old is put again: as an orphan it would soon count as
garbage.
"""
_BEGIN = "roundsmith"
_NAME = re.compile(rf"{_BEGIN}\.(?P<pid>\d{{1,9}})\.[0-9a-f]{{32}}\.(?P<whose>.+)")


def moment(entry: dict[str, Any]) -> float | None:
    """When a file was written, as seconds since 1970, in the words of each file system; None from
    one that does not say.
    """
    for key in ("mtime", "LastModified", "created", "updated"):
        match entry.get(key):
            case int() | float() as seconds:
                return float(seconds)
            case datetime() as found:
                return found.timestamp()
    return None


def now(system: Any, folder: str) -> float:
    """The time by the clock that dates the files of a folder: a file is put there, looked at and
    removed. This machine's clock where the file system dates none.
    """
    path = f"{folder}/clock-{uuid.uuid4().hex}"
    system.pipe_file(path, b"what time is it")
    try:
        found = moment(system.info(path))
    finally:
        system.rm_file(path)
    return time.time() if found is None else found


def partial_name() -> str:
    """The name of a file under way, which says whose it is."""
    whose = f"{_processes_seen()}.{socket.gethostname()}"
    return f"{_BEGIN}.{os.getpid()}.{uuid.uuid4().hex}.{whose}"


def sweep(scratch: Path, *, private: bool) -> None:
    """Removes what killed writers left in a folder: files of a day and more, by the folder's clock,
    whose process does not run here. One that runs keeps its own, however a clock jumps.

    In a folder that is this machine's alone, such as /tmp, a file whose process would be seen if it
    ran goes at once. What other users left there is left to them.
    """
    leftovers = [path for path in scratch.glob(f"{_BEGIN}.*") if _NAME.fullmatch(path.name)]
    if not leftovers:
        return  # and the folder is left as it is: who only looks changes nothing
    probe = scratch / f"clock-{uuid.uuid4().hex}"
    probe.touch()
    today = probe.stat().st_mtime
    probe.unlink()
    for leftover in leftovers:
        with suppress(FileNotFoundError, *([PermissionError] if private else [])):
            if _is_gone(leftover.name, today - leftover.stat().st_mtime, private):
                leftover.unlink()


def _is_gone(name: str, age_s: float, private: bool) -> bool:
    """Whether the writer of a file so old has ended."""
    found = _NAME.fullmatch(name)
    assert found, "it is a file under way"
    host, here = socket.gethostname(), f"{_processes_seen()}.{socket.gethostname()}"
    if found["whose"] in (host, here) and _runs(int(found["pid"])):
        return False
    return age_s > STALE_S or (private and found["whose"] == here)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


@cache
def _processes_seen() -> str:
    """Which processes this one sees: those of a kernel since it began, in one container. Equal only
    where both are; a word of this process's own where the system does not say.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
        return f"{boot}-{os.readlink('/proc/self/ns/pid').strip('pid:[]')}"
    except OSError:
        return uuid.uuid4().hex
