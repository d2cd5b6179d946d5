"""What processes have under way in folders that others use too, and what they leave there when they
are killed: each says whose it is, so that it goes with the next one and what is in use stays.
"""

import os
import re
import shutil
import socket
import tempfile
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal

STALE_S = 24 * 3600.0
"""What a writer that is gone has left is removed after so long."""
_BEGIN = "roundsmith"
_NAME = re.compile(rf"{_BEGIN}\.(?P<pid>\d{{1,9}})\.[0-9a-f]{{32}}\.(?P<whose>.+)")


def temporary_folder(
    of: Literal["torchrun", "vllm", "weights"],
) -> "tempfile.TemporaryDirectory[str]":
    """A folder under TMPDIR that goes when it is left, or with this process. One of a process of
    this machine that was killed goes here; one of another container, whose processes are not seen,
    is left alone.

    A file in it says whose it is, and not its name: sockets ask for a short path.
    """
    scratch = Path(tempfile.gettempdir())
    for other in scratch.glob(f"{_BEGIN}-{of}-*"):
        if _is_left(other):
            shutil.rmtree(other, ignore_errors=True)
    folder = tempfile.TemporaryDirectory(prefix=f"{_BEGIN}-{of}-", ignore_cleanup_errors=True)
    Path(folder.name, partial_name()).touch()
    return folder


def _is_left(folder: Path) -> bool:
    """Whether it is of a process of this machine that was killed."""
    try:
        return any(map(is_left, os.listdir(folder)))
    except OSError:  # it went meanwhile, or is of another user
        return False


def is_left(name: str) -> bool:
    """Whether a name is one of `partial_name`, given by a process of this machine that ended."""
    found = _NAME.fullmatch(name)
    return found is not None and found["whose"] == _here() and not _runs(int(found["pid"]))


def partial_folder(target: Path) -> Path:
    """Where to make a folder that is then renamed to `target`: a hidden one beside it. Those that
    killed processes of this machine left there are removed.
    """
    for other in target.parent.glob(f".{_BEGIN}.*"):
        if is_left(other.name.removeprefix(".")):
            shutil.rmtree(other, ignore_errors=True)
    return target.with_name(f".{partial_name()}")


def partial_name() -> str:
    """The name of a file under way, which says whose it is."""
    return f"{_BEGIN}.{os.getpid()}.{uuid.uuid4().hex}.{_here()}"


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
    if found["whose"] in (socket.gethostname(), _here()) and _runs(int(found["pid"])):
        return False
    return age_s > STALE_S or (private and found["whose"] == _here())


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def _here() -> str:
    return f"{_processes_seen()}.{socket.gethostname()}"


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
