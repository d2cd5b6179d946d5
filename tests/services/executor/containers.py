"""The sandbox container run by a container runtime, without an image or a registry: a root with the
interpreter, its standard library and `roundsmith.sandbox`, as `sandbox-image/Dockerfile` makes it.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.services.executor.sandbox_pod import ROOT, SANDBOX, SANDBOX_USER, SandboxPod, sandbox_pod

Runtime = Literal["runc", "runsc"]
PROFILE = ROOT / "sandbox-image" / "seccomp.json"
_LEFT_OUT = ("test", "tests", "idlelib", "ensurepip", "site-packages", "dist-packages", "*.a")
_FLAGS = {
    "runc": (),
    "runsc": ("--platform=ptrace", "--network=none", "--fsgofer-host-uds", "--ignore-cgroups"),
}
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")


def needs(runtime: Runtime) -> None:
    """Skips where the runtime can not be tried."""
    if shutil.which(runtime) is None:
        pytest.skip(f"{runtime}: expected it on PATH, saw none; Debian has it as {runtime}")
    if os.geteuid() != 0:
        pytest.skip(f"{runtime}: expected to be root, saw user {os.geteuid()}")


def make_root(root: Path) -> str:
    """A root file system; the interpreter's path in it."""
    interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    library = Path(os.__file__).parent
    _copy(interpreter, root)
    ignored = shutil.ignore_patterns(*_LEFT_OUT)
    shutil.copytree(library, root / library.relative_to("/"), ignore=ignored)
    for binary in (interpreter, *(library / "lib-dynload").glob("*.so")):
        for shared in _shared_libraries(binary):
            _copy(shared, root)
    shutil.copytree(SANDBOX, root / "opt/roundsmith-sandbox/roundsmith/sandbox")
    for name in ("dev", "etc", "proc", "run/sandbox", "sys", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(f"sandbox:x:{SANDBOX_USER}:{SANDBOX_USER}::/:\n")
    for directory, _, _ in os.walk(root):
        os.chmod(directory, 0o755)
    (root / "tmp").chmod(0o1777)
    return str(interpreter)


def _shared_libraries(binary: Path) -> list[Path]:
    listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True).stdout
    return [Path(word) for word in listed.split() if word.startswith("/")]


def _copy(path: Path, root: Path) -> None:
    target = root / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def config(root: Path, command: list[str], socket: Path, profile: Path | None) -> dict[str, Any]:
    """What a restricted pod's sandbox container is to the runtime, as the chart asks for it."""
    found: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": SANDBOX_USER, "gid": SANDBOX_USER},
            "args": command,
            "env": ["PYTHONPATH=/opt/roundsmith-sandbox", "PYTHONDONTWRITEBYTECODE=1", "PATH=/"],
            "cwd": "/",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": "sandbox",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
            _bind(socket.parent, "/run/sandbox"),
            {
                "destination": "/tmp",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777", "size=256m"],
            },
        ],
        "linux": {
            "namespaces": [{"type": name} for name in _NAMESPACES],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    }
    if profile is not None:
        found["linux"]["seccomp"] = json.loads(profile.read_text(encoding="utf-8"))
    return found


def _bind(source: Path, destination: str) -> dict[str, Any]:
    options = ["bind", "ro", "nosuid", "nodev"]
    return {"destination": destination, "type": "bind", "source": str(source), "options": options}


class ContainerPod(SandboxPod):
    """A pod whose sandbox container is run by a container runtime; the worker is as always."""

    def __init__(self, folder: Path, runtime: Runtime, profile: Path | None) -> None:
        super().__init__(folder)
        self._runtime, self._profile = runtime, profile
        self._name = f"roundsmith-test-{uuid.uuid4().hex[:8]}"
        self._state = folder / "state"
        self._interpreter = make_root(folder / "root")

    def start_init(self) -> None:
        """The container, whose process 1 connects to the worker."""
        command = [self._interpreter, "-m", "roundsmith.sandbox.pod"]
        command += ["--socket", f"/run/sandbox/{self.socket.name}"]
        found = config(self.folder / "root", command, self.socket, self._profile)
        (self.folder / "config.json").write_text(json.dumps(found))
        self.init = subprocess.Popen(
            [*self._command, "run", "--bundle", str(self.folder), self._name]
        )

    @property
    def _command(self) -> list[str]:
        return [self._runtime, "--root", str(self._state), *_FLAGS[self._runtime]]

    def close(self) -> None:
        """Ends the container and the worker."""
        subprocess.run([*self._command, "delete", "--force", self._name], capture_output=True)
        super().close()


@contextmanager
def container_pod(runtime: Runtime, profile: Path | None = None) -> Iterator[SandboxPod]:
    """A pod that is ready, and gone afterwards; skips where the runtime is not there."""
    needs(runtime)
    with sandbox_pod(make=lambda folder: ContainerPod(folder, runtime, profile)) as pod:
        yield pod
