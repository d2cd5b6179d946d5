"""Which processes there are, by /proc."""

from contextlib import suppress
from pathlib import Path


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
