"""How a supervisor is started: by exec of a bare interpreter, with a socket and a directory."""

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import roundsmith.sandbox
from roundsmith.sandbox import packages

SANDBOX_VERSION = "2"
"""Of what a server and a supervisor tell each other, and of what programs find."""
_BOOT = """import os, sys
for name in ("LD_BIND_NOW", "LD_PRELOAD"):
    os.environ.pop(name, None)
sys.path.append(sys.argv[3])
from roundsmith.sandbox.supervisor import main
sys.path.remove(sys.argv[3])
main(int(sys.argv[1]), sys.argv[2], sys.argv[4:])
"""
# All that a program finds in its environment.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
}
_LIBRARY = os.path.join(os.path.dirname(__file__), "forking.so")


def image() -> str:
    """What programs run in: interpreter and sandbox version."""
    return f"python-{platform.python_version()}-sandbox-{SANDBOX_VERSION}"


def version_of(image: str) -> str:
    """The sandbox version that `image` told."""
    return image.rpartition("-")[2]


def spawn(theirs: socket.socket, scratch: str) -> subprocess.Popen[bytes]:
    """Starts a supervisor on its end of a socket, which the caller then closes.

    `scratch` is the directory that programs may write where they have no mount namespace.
    """
    root = str(Path(next(iter(roundsmith.sandbox.__path__))).parents[1])
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    places = [text for place in packages.find().items() for text in place]
    arguments = (str(theirs.fileno()), scratch, root, *places)
    return subprocess.Popen(
        [interpreter, "-B", "-s", "-S", "-P", "-c", _BOOT, *arguments],
        env=ENVIRONMENT | _linking(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        cwd="/",
    )


def _linking() -> dict[str, str]:
    """What the interpreter calls is looked up at its start, and not in each child, which would copy
    the pages that hold the answers; its memory is settled by `arenas.c`, where that was compiled.
    """
    preloaded = os.path.exists(_LIBRARY) and not set(_LIBRARY) & {" ", ":"}
    return {"LD_BIND_NOW": "1"} | ({"LD_PRELOAD": _LIBRARY} if preloaded else {})
