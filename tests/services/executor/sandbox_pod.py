"""A sandbox pod without a cluster: its two containers as two processes, the sandbox under another
user where the tests may change users.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

import roundsmith.sandbox
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox import packages
from roundsmith.sandbox.profiles import open_to_all
from tests.ports import kept_port

ROOT = Path(__file__).parents[3]
SANDBOX_USER = 65532
SANDBOX = Path(roundsmith.sandbox.__file__).parent
_START_S = 600
# By exec of another interpreter: gRPC's threads do not survive the plain fork of `user=`.
_BECOME = (
    "import os, sys; user = int(sys.argv[1]); os.setgroups([]); os.setgid(user); os.setuid(user); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@cache
def sandbox_interpreter() -> str:
    """A Python that the sandbox's user may run; skips where there is none."""
    base = getattr(sys, "_base_executable", sys.executable)
    if os.geteuid() != 0:
        return str(base)
    for path in (base, "/usr/local/bin/python3", "/usr/bin/python3"):
        code = "import sys; sys.exit(sys.version_info < (3, 11))"
        if not subprocess.run(as_sandbox([path, "-c", code]), stderr=subprocess.DEVNULL).returncode:
            return str(path)
    pytest.skip(f"no Python of at least 3.11 that user {SANDBOX_USER} may run")


def as_sandbox(command: list[str]) -> list[str]:
    """The command under the sandbox's user, where the tests may change users."""
    if os.geteuid() != 0:
        return command
    return [sys.executable, "-c", _BECOME, str(SANDBOX_USER), *command]


def scientific() -> tuple[Path, ...]:
    """What the profile `scientific` reads of the packages that are installed here."""
    return tuple(map(Path, packages.readable_paths(packages.find())))


class SandboxPod:
    """The pod's folder and its processes; with `beside`, folders and modules that are beside its
    sandbox.
    """

    def __init__(self, folder: Path, beside: Sequence[Path] = ()) -> None:
        self.folder, self.beside, self._port = folder, beside, kept_port()
        self.socket = folder / "run" / "supervisors.sock"
        self.scratch = folder / "scratch"
        self.other_user = os.geteuid() == 0
        self.worker: subprocess.Popen[bytes]
        self.init: subprocess.Popen[bytes]

    def start_init(self) -> None:
        """The sandbox container's process 1, here an ordinary one."""
        command = [sandbox_interpreter(), "-m", "roundsmith.sandbox.pod"]
        command += ["--socket", str(self.socket), "--scratch", str(self.scratch)]
        modules = f"{self.folder}:{self._beside()}"
        self.init = subprocess.Popen(
            as_sandbox(command), env={"PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"}
        )

    def _beside(self) -> Path:
        """A folder of them, where the sandbox's user may go."""
        folder = self.folder / "beside"
        if not folder.exists():
            folder.mkdir(mode=0o755)
            for path in self.beside:
                _bring(path, folder / path.name)
        return folder

    def begin_worker(self, supervisors: int = 8) -> None:
        """The worker's container; it is ready when the sandbox is connected."""
        self._ready.unlink(missing_ok=True)
        roundsmith = Path(sys.executable).with_name("roundsmith")
        command = [str(roundsmith), "serve", "sandbox-worker", "--die-with-parent"]
        command += ["--address", f"127.0.0.1:{self._port}", "--socket", str(self.socket)]
        command += ["--supervisors", str(supervisors), "--ready-file", str(self._ready)]
        self.worker = subprocess.Popen(command, env={**os.environ, "COLUMNS": "200"})

    def wait(self) -> None:
        """Until the worker serves, always at the same address."""
        deadline = time.monotonic() + _START_S
        while not self._ready.exists():
            assert self.worker.poll() is None, "the worker ended"
            assert time.monotonic() < deadline, "the worker did not get ready"
            time.sleep(0.05)

    @property
    def address(self) -> str:
        """Where the worker listens."""
        return str(json.loads(self._ready.read_text())["address"])

    @property
    def _ready(self) -> Path:
        return self.folder / "ready.json"

    def settings(self, **options: object) -> ExecutorSettings:
        """An executor on this pod, at the tier of a restricted one."""
        given = {"pool": "pods", "sandboxes": self.address, "slots": 2, "highest": "T1", **options}
        return ExecutorSettings.model_validate(given)

    def processes(self) -> list[str]:
        """What lives below the sandbox's process 1."""
        return [pid for child in _children(str(self.init.pid)) for pid in (child, *_below(child))]

    def close(self) -> None:
        """Ends both processes, whatever is left of them."""
        for process in (self.worker, self.init):
            process.kill()
            process.wait()


def _bring(path: Path, target: Path) -> None:
    if open_to_all((str(path),)):
        target.symlink_to(path)
    elif path.is_dir():
        shutil.copytree(path, target, ignore=shutil.ignore_patterns("tests"))
    else:
        shutil.copy(path, target)


def _below(pid: str) -> list[str]:
    return [found for child in _children(pid) for found in (child, *_below(child))]


def _children(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


@contextmanager
def sandbox_pod(
    supervisors: int = 8, make: Callable[[Path], SandboxPod] = SandboxPod
) -> Iterator[SandboxPod]:
    """A pod that is ready, and gone afterwards."""
    sandbox_interpreter()
    # The sandbox's user may not enter pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="roundsmith-pod-"))
    pod = make(folder)
    try:
        folder.chmod(0o755)
        pod.socket.parent.mkdir(mode=0o755)
        pod.scratch.mkdir(mode=0o700)
        if pod.other_user:
            os.chown(pod.scratch, SANDBOX_USER, SANDBOX_USER)
        target = folder / "roundsmith" / "sandbox"
        shutil.copytree(SANDBOX, target, ignore=shutil.ignore_patterns("*.pyc"))
        pod.start_init()
        pod.begin_worker(supervisors)
        try:
            pod.wait()
            yield pod
        finally:
            pod.close()
    finally:
        shutil.rmtree(folder)
