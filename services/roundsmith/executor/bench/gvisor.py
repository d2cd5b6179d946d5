"""The sandbox container of a pod in gVisor: Debian's `runsc`, run directly, on this machine's root,
which it may only read.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_FLAGS = ("--platform=ptrace", "--network=none", "--fsgofer-host-uds", "--ignore-cgroups")
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
_NAME = "roundsmith-bench"
SOCKETS = "/mnt"
"""Where the container finds the directory of the worker's socket."""
SCRATCH = "/var/tmp"
"""What it may write."""


def runnable() -> bool:
    """Whether gVisor can be tried here."""
    return os.geteuid() == 0 and shutil.which("runsc") is not None


@contextmanager
def container(
    folder: Path, command: Sequence[str], user: int, root: Path, sockets: Path
) -> Iterator[None]:
    """The command under the user, with `root` as what it imports from, while the block runs."""
    (folder / "config.json").write_text(json.dumps(_config(command, user, root, sockets)), "utf-8")
    runsc = ["runsc", "--root", str(folder / "state"), *_FLAGS]
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(
        [*runsc, "run", "--bundle", str(folder), _NAME], stdout=quiet, stderr=quiet
    )
    try:
        yield
    finally:
        subprocess.run([*runsc, "delete", "--force", _NAME], capture_output=True, check=False)
        running.kill()
        running.wait()


def _config(command: Sequence[str], user: int, root: Path, sockets: Path) -> dict[str, object]:
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": user},
            "args": list(command),
            "env": [f"PYTHONPATH={root}", "PYTHONDONTWRITEBYTECODE=1", "PATH=/"],
            "cwd": "/",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": "/", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": SOCKETS, "type": "bind", "source": str(sockets), "options": ["bind"]},
            {
                "destination": SCRATCH,
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777", "size=256m"],
            },
        ],
        "linux": {"namespaces": [{"type": name} for name in _NAMESPACES]},
    }
