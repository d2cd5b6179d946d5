"""Which processes there are, by /proc."""

import sys
from contextlib import suppress
from pathlib import Path

_TELLING = """
import atexit, gc, runpy, sys
from pathlib import Path
told, *sys.argv = sys.argv[1:]
atexit.register(lambda: Path(told).write_text(f"{gc.isenabled()} {gc.get_freeze_count()}"))
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def telling(told: Path, module: str, *arguments: str | Path) -> list[str]:
    """The command `python -m MODULE`, which writes to a file, at its end, what `searches` reads."""
    return [sys.executable, "-c", _TELLING, str(told), module, *map(str, arguments)]


def searches(told: Path) -> tuple[bool, int]:
    """Whether Python looked for garbage at the end of a process, and how many objects it left
    out.
    """
    enabled, left_out = told.read_text().split()
    return enabled == "True", int(left_out)


def alive(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_line(pid: int) -> bytes:
    """Of a process, its words divided by NUL; empty for one that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def children(pid: int) -> list[int]:
    """Those that any thread of a process started and that have not been waited for; what ends
    meanwhile may be left out.
    """
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """All below a process, the deepest last."""
    return [one for child in children(pid) for one in (child, *descendants(child))]
