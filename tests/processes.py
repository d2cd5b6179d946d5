"""Which processes there are, by /proc."""

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TELLING = """
import atexit, gc, json, runpy, sys
from pathlib import Path
told, *sys.argv = sys.argv[1:]
def tell():
    loaded = sorted(name for name, module in sys.modules.items() if module is not None)
    Path(told).write_text(json.dumps([gc.isenabled(), gc.get_freeze_count(), loaded]))
atexit.register(tell)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def telling(told: Path, module: str, *arguments: str | Path) -> list[str]:
    """The command `python -m MODULE`, which writes to a file, at its end, what `end_of` reads."""
    return [sys.executable, "-c", _TELLING, str(told), module, *map(str, arguments)]


@dataclass(frozen=True)
class End:
    """How a process was at its end."""

    searches: bool
    """Whether Python looked for garbage."""
    left_out: int
    """Objects that it left out."""
    loaded: list[str]
    """Modules."""


def end_of(told: Path) -> End:
    """What a process of `telling` told."""
    return End(*json.loads(told.read_text()))


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
