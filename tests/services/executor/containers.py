"""The sandbox container run by a container runtime, without an image or a registry: a root with the
interpreter, its standard library and `roundsmith.sandbox`, as `sandbox-image/Dockerfile` makes it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.services.executor.sandbox_pod import ROOT, SANDBOX, SANDBOX_USER, SandboxPod, sandbox_pod

Runtime = Literal["runc", "runsc"]
PROFILE = ROOT / "sandbox-image" / "seccomp.json"
_BESIDE = Path("/opt/beside")
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


def make_root(root: Path, beside: Sequence[Path]) -> str:
    """A root file system, with room for what is mounted beside the sandbox; the interpreter's path
    in it.
    """
    interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    library = Path(os.__file__).parent
    _copy(interpreter, root)
    ignored = shutil.ignore_patterns(*_LEFT_OUT)
    shutil.copytree(library, root / library.relative_to("/"), ignore=ignored)
    binaries = [interpreter, *(library / "lib-dynload").glob("*.so")]
    for path in beside:
        place = root / _BESIDE.relative_to("/") / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if path.is_dir() else place.touch()
        binaries += path.rglob("*.so")
    for shared in _shared_libraries(binaries):
        if not any(shared.is_relative_to(path) for path in beside):
            _copy(shared, root)
    shutil.copytree(SANDBOX, root / "opt/roundsmith-sandbox/roundsmith/sandbox")
    for name in ("dev", "etc", "proc", "run/sandbox", "sys", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(f"sandbox:x:{SANDBOX_USER}:{SANDBOX_USER}::/:\n")
    for directory, _, _ in os.walk(root):
        os.chmod(directory, 0o755)
    (root / "tmp").chmod(0o1777)
    return str(interpreter)


def _shared_libraries(binaries: Sequence[Path]) -> list[Path]:
    """Those of the system that they are linked with; packages bring the others."""
    listed = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True).stdout
    found = [words[2] for words in map(str.split, listed.splitlines()) if "=>" in words]
    loader = re.findall(r"^\s*(/\S+) \(", listed, re.MULTILINE)
    return [Path(path) for path in dict.fromkeys((*found, *loader)) if path.startswith("/")]


def _copy(path: Path, root: Path) -> None:
    target = root / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def config(
    root: Path, command: list[str], socket: Path, profile: Path | None, beside: Sequence[Path]
) -> dict[str, Any]:
    """What a restricted pod's sandbox container is to the runtime, as the chart asks for it."""
    found: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": SANDBOX_USER, "gid": SANDBOX_USER},
            "args": command,
            "env": [
                f"PYTHONPATH=/opt/roundsmith-sandbox:{_BESIDE}",
                *("PYTHONDONTWRITEBYTECODE=1", "PATH=/"),
            ],
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
            *(_bind(path, str(_BESIDE / path.name)) for path in beside),
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

    def __init__(
        self, folder: Path, runtime: Runtime, profile: Path | None, beside: Sequence[Path]
    ) -> None:
        super().__init__(folder, beside)
        self._runtime, self._profile = runtime, profile
        self._name = f"roundsmith-test-{uuid.uuid4().hex[:8]}"
        self._state = folder / "state"
        self._interpreter = make_root(folder / "root", beside)

    def start_init(self) -> None:
        """The container, whose process 1 connects to the worker."""
        command = [self._interpreter, "-m", "roundsmith.sandbox.pod"]
        command += ["--socket", f"/run/sandbox/{self.socket.name}"]
        root = self.folder / "root"
        found = config(root, command, self.socket, self._profile, self.beside)
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
def container_pod(
    runtime: Runtime, profile: Path | None = None, beside: Sequence[Path] = ()
) -> Iterator[SandboxPod]:
    """A pod that is ready, and gone afterwards; skips where the runtime is not there."""
    needs(runtime)
    with sandbox_pod(make=lambda folder: ContainerPod(folder, runtime, profile, beside)) as pod:
        yield pod
