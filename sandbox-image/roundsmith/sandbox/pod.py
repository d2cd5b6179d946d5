"""Process 1 of the sandbox container: starts a supervisor whenever the worker beside it asks.

It connects once to the worker's socket and never listens. With every request comes one end of a
socket that the worker made; the first frame on it says what was started, the rest is between
supervisor and worker. When the worker shuts its end down, or the supervisor ends, everything below
that supervisor is killed, its directory removed, and only then is the socket closed: the end that
the worker reads means that nothing is left. When the connection to the worker ends, all is killed
before it is made again.

So a supervisor, or an enemy that owns one, holds the socket of its own stream and no other: the
worker takes its listening socket away before the first program runs, this process can not be
traced or read by others of its user, and a child has neither `socket` nor `connect`, no rights on
the directory of the socket, and no signal that reaches out of it.

Not handled: an enemy that breaks seccomp and Landlock has this process's user, and may kill the
supervisors beside its own (their runs are lost and run again elsewhere) or fill the memory and the
scratch of the container. Containers that share a process namespace with others are not meant.
"""

import argparse
import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from types import FrameType

from roundsmith.sandbox import boot, kernels, landlock, syscalls
from roundsmith.sandbox.codec import encode
from roundsmith.sandbox.frames import write_frame
from roundsmith.sandbox.reaping import sweep
from roundsmith.sandbox.scratch import empty
from roundsmith.sandbox.syscalls import call

log = logging.getLogger(__name__)

START = b"S"
_RETRY_S = 0.2
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNLIMITED = 2**60
_HANG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """One supervisor, its directory, and this process's copy of its end of the socket."""

    process: subprocess.Popen[bytes]
    scratch: str
    lifeline: socket.socket


class Init:
    """Serves one connection of the worker."""

    def __init__(self, control: socket.socket, scratch_root: str, child_ended: int) -> None:
        """`child_ended` is a descriptor that has bytes after a child ended."""
        self._control, self._scratch_root, self._child_ended = control, scratch_root, child_ended
        self._sandbox_id = secrets.token_hex(8)
        self._memory_bytes = _memory_limit()
        # Without Landlock, in gVisor, two supervisors' programs could reach each other's files.
        self._alone = bool(kernels.gvisor()) and not landlock.abi()
        self._supervisors: dict[int, _Supervisor] = {}  # by the lifeline's descriptor
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(child_ended, select.POLLIN)

    def serve(self) -> None:
        """Starts, watches and ends supervisors until the worker goes away; leaves none."""
        try:
            while True:
                for fd, _ in self._poll.poll():
                    if fd == self._child_ended:
                        self._reap()
                    elif fd == self._control.fileno():
                        if not self._obey():
                            return
                    elif fd in self._supervisors:
                        self._end(self._supervisors[fd])
        finally:
            for supervisor in list(self._supervisors.values()):
                self._end(supervisor)

    def _obey(self) -> bool:
        """Whether the worker is still there."""
        message, fds, _, _ = socket.recv_fds(self._control, 16, 1)
        if message == START and fds:
            theirs = socket.socket(fileno=fds[0])
            if self._alone and self._supervisors:
                theirs.close()
            else:
                self._start(theirs)
        return bool(message)

    def _start(self, theirs: socket.socket) -> None:
        scratch = ""
        try:
            scratch = tempfile.mkdtemp(prefix="box-", dir=self._scratch_root)
            process = boot.spawn(theirs, scratch)
        except OSError:
            # No directory or no process to be had: the worker sees the socket close.
            log.exception("a supervisor could not be started")
            if scratch:
                os.rmdir(scratch)
            theirs.close()
            return
        supervisor = _Supervisor(process, scratch, theirs)
        self._supervisors[theirs.fileno()] = supervisor
        self._poll.register(theirs, select.POLLRDHUP)
        about = (process.pid, boot.image(), self._sandbox_id, self._memory_bytes)
        try:
            write_frame(theirs.fileno(), encode(about))
        except OSError:
            self._end(supervisor)

    def _reap(self) -> None:
        os.read(self._child_ended, 4096)
        for supervisor in list(self._supervisors.values()):
            if supervisor.process.poll() is not None:
                self._end(supervisor)
        self._sweep()

    def _end(self, supervisor: _Supervisor) -> None:
        """Leaves no process, no file and no open socket of it, in this order."""
        self._poll.unregister(supervisor.lifeline)
        del self._supervisors[supervisor.lifeline.fileno()]
        supervisor.process.kill()
        supervisor.process.wait()
        self._sweep()
        try:
            empty(supervisor.scratch)
            os.rmdir(supervisor.scratch)
        except OSError:
            # No other program can read it, and a program must not be able to end this process.
            log.exception("%s could not be removed", supervisor.scratch)
        supervisor.lifeline.close()

    def _sweep(self) -> None:
        sweep({supervisor.process.pid for supervisor in self._supervisors.values()})


def _memory_limit() -> int:
    """The container's memory limit in bytes, 0 where none can be read."""
    for path in _MEMORY_LIMITS:
        if os.path.exists(path):
            with open(path, encoding="ascii") as stream:
                said = stream.read().strip()
            return int(said) if said.isdecimal() and int(said) < _UNLIMITED else 0
    return 0


def _connect(path: str) -> socket.socket:
    """The connection to the worker, as soon as it listens."""
    said = False
    while True:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            control.connect(path)
        except OSError as error:
            control.close()
            if not said:
                log.info("waiting for the worker at %s (%s)", path, error)
            said = True
            time.sleep(_RETRY_S)
        else:
            return control


def _child_ended() -> int:
    """A descriptor that has bytes after a child ended."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    return read


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    """Serves the worker for ever; SIGTERM ends it and everything below it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--socket", required=True, help="where the worker listens")
    parser.add_argument("--scratch", default="/tmp", help="where programs' directories are made")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)
    call("prctl", syscalls.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    child_ended = _child_ended()
    while True:
        with _connect(options.socket) as control:
            log.info("connected to the worker at %s", options.socket)
            Init(control, options.scratch, child_ended).serve()


if __name__ == "__main__":
    main()
