"""How old stored files are, by the storage's own clock and by whether their writer lives: this
machine's clock may be another, and either may jump.
"""

import os
import socket
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

STALE_S = 24 * 3600.0
"""What a writer that is gone has left is removed after so long."""
RENEWED_S = STALE_S / 2
"""An object that is made again when it is so old is put again: as an orphan it would soon count as
garbage.
"""
_BEGIN = "roundsmith"


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
    return f"{_BEGIN}.{os.getpid()}.{uuid.uuid4().hex}.{socket.gethostname()}"


def sweep(scratch: Path) -> None:
    """Removes what killed writers left in a folder: files of a day and more, by the folder's clock,
    whose process does not run here. One that runs keeps its own, however a clock jumps.
    """
    leftovers = list(scratch.glob(f"{_BEGIN}*"))
    if not leftovers:
        return  # and the folder is left as it is: who only looks changes nothing
    probe = scratch / f"clock-{uuid.uuid4().hex}"
    probe.touch()
    today = probe.stat().st_mtime
    probe.unlink()
    for leftover in leftovers:
        try:
            if today - leftover.stat().st_mtime > STALE_S and not _under_way(leftover.name):
                leftover.unlink()
        except FileNotFoundError:
            continue


def _under_way(name: str) -> bool:
    """Whether a process of this machine that may be the writer runs."""
    _, pid, _, host = (*name.split(".", 3), "", "", "")[:4]
    return host == socket.gethostname() and Path(f"/proc/{pid}").is_dir()
