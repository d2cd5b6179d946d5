"""A sandbox pod for the bench, without a cluster: its two containers as two processes."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import roundsmith.sandbox
from roundsmith.executor.bench import gvisor

_START_S = 60.0
_USER = 65532
# By exec of another interpreter: gRPC's threads do not survive a fork that changes the user.
_BECOME = (
    "import os, sys; user = int(sys.argv[1]); os.setgroups([]); os.setgid(user); os.setuid(user); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@contextmanager
def sandbox_pod(folder: Path, in_gvisor: bool = False) -> Iterator[str | None]:
    """HOST:PORT of the pod's worker while the block runs; None where there is no Python that the
    pod's user may run, or no gVisor to run it in.
    """
    python = interpreter()
    if python is None or (in_gvisor and not gvisor.runnable()):
        yield None
        return
    for path in (folder.parent, folder):
        path.chmod(0o755)
    root, scratch, ready = folder / "root", folder / "pod", folder / "ready.json"
    sockets = folder / "sockets"
    package = Path(next(iter(roundsmith.sandbox.__path__)))
    shutil.copytree(package, root / "roundsmith/sandbox")
    scratch.mkdir(mode=0o700)
    sockets.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(scratch, _USER, _USER)
    socket = str(sockets / "supervisors.sock")
    worker = [sys.executable, "-m", "roundsmith.cli", "serve", "sandbox-worker"]
    worker += ["--address", "127.0.0.1:0", "--socket", socket, "--ready-file", str(ready)]
    init = [python, "-m", "roundsmith.sandbox.pod", "--socket"]
    running = [_start(worker)]
    with ExitStack() as stack:
        stack.callback(_end, running)
        if in_gvisor:
            init += [f"{gvisor.SOCKETS}/{Path(socket).name}", "--scratch", gvisor.SCRATCH]
            stack.enter_context(gvisor.container(folder, init, _USER, root, sockets))
        else:
            running.append(_start(_as_user([*init, socket, "--scratch", str(scratch)]), str(root)))
        deadline = time.monotonic() + _START_S
        while not ready.exists():
            if running[0].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the sandbox pod did not start")
            time.sleep(0.05)
        yield str(json.loads(ready.read_text())["address"])


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.kill()
        process.wait()


def _start(command: list[str], path: str | None = None) -> subprocess.Popen[bytes]:
    environment = None if path is None else {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)


def _as_user(command: list[str]) -> list[str]:
    """The command under the pod's user, where this process may change users."""
    if os.geteuid() != 0:
        return command
    return [sys.executable, "-c", _BECOME, str(_USER), *command]


def interpreter() -> str | None:
    """A Python that the pod's user may run."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    for path in (base, "/usr/local/bin/python3", "/usr/bin/python3"):
        check = [path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if not subprocess.run(_as_user(check), stderr=subprocess.DEVNULL).returncode:
            return str(path)
    return None
