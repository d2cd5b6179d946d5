"""The supervisor's view of its children: starts and kills them, sees how they ended."""

import array
import fcntl
import os
import select
import socket
import time
from dataclasses import dataclass, field

from roundsmith.sandbox.frames import FrameBuffer
from roundsmith.sandbox.hardening import RunLimits
from roundsmith.sandbox.zygote import EXITED, EXITED_BODY, FORK, FORKED, KILL, KILL_BODY


class ZygoteGone(Exception):
    """The zygote ended: the supervisor must end too, and the server starts another."""


class Cancelled(Exception):
    """The server wants no more of this run."""


@dataclass(slots=True)
class Child:
    """One running child."""

    child_id: int
    control: socket.socket
    streams: dict[int, bytearray]
    """Standard output and error by descriptor: what was read since the last question."""
    cpu_limit_s: int
    """The kernel's own limit, behind the supervisor's clock."""
    pid: int = 0
    greeted: bool = False
    """Whether it said that it is confined: only before that can a setup fail."""
    poll: select.poll = field(default_factory=select.poll)
    frames: FrameBuffer = field(default_factory=FrameBuffer)
    exit_status: int | None = None
    cpu_at_exit_s: float = 0.0
    closed: bool = False

    def cpu_s(self) -> float:
        """CPU seconds so far, as the kernel counts them for the whole process."""
        if self.exit_status is not None or not self.pid:
            return self.cpu_at_exit_s
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return self.cpu_at_exit_s


class Children:
    """Starts children and talks with them; one caller, no threads."""

    def __init__(self, zygote: socket.socket, server: int) -> None:
        self._zygote, self._server = zygote, server
        self._alive: dict[int, Child] = {}

    def start(self, limits: RunLimits, stdin: bytes = b"") -> Child:
        """A hardened child that waits for its first frame. `stdin` is sealed memory, so that
        nothing can change it.
        """
        ancillary: list[tuple[int, int, array.array[int]]] = []
        descriptor = _sealed(stdin) if stdin else None
        if descriptor is not None:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        self._zygote.sendmsg([FORK + limits.pack()], ancillary)
        if descriptor is not None:
            os.close(descriptor)
        while True:
            message, fds = self._from_zygote()
            if message[:1] == FORKED:
                return self._adopt(KILL_BODY.unpack(message[1:])[0], fds, limits.cpu_s)

    def _adopt(self, child_id: int, fds: list[int], cpu_limit_s: int) -> Child:
        control = socket.socket(fileno=fds[0])
        control.setblocking(False)
        child = Child(child_id, control, {fd: bytearray() for fd in fds[1:]}, cpu_limit_s)
        # The kernel looks at descriptors in this order: whatever was printed before an answer shows
        # together with it, because the answer's socket is looked at first.
        child.poll.register(control, select.POLLIN)
        for fd in fds[1:]:
            os.set_blocking(fd, False)
            child.poll.register(fd, select.POLLIN)
        child.poll.register(self._zygote, select.POLLIN)
        child.poll.register(self._server, select.POLLIN)
        self._alive[child_id] = child
        return child

    def _from_zygote(self) -> tuple[bytes, list[int]]:
        message, ancillary, _, _ = self._zygote.recvmsg(256, socket.CMSG_SPACE(12))
        if not message:
            raise ZygoteGone
        if message[:1] == EXITED:
            child_id, status, _, cpu_us = EXITED_BODY.unpack(message[1:])
            child = self._alive[child_id]
            child.cpu_at_exit_s, child.exit_status = cpu_us / 1e6, status
        fds = array.array("i")
        for _, kind, content in ancillary:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(content)
        return message, list(fds)

    def end(self, child: Child) -> None:
        """Kills the child and everything of its pid namespace, and waits until the zygote has
        reaped it.
        """
        self.kill(child)
        child.control.close()
        for fd in child.streams:
            os.close(fd)
        del self._alive[child.child_id]

    def kill(self, child: Child) -> None:
        """Kills a child that lives, and waits until it is reaped."""
        if child.exit_status is None:
            self._zygote.send(KILL + KILL_BODY.pack(child.child_id))
        while child.exit_status is None:
            self._from_zygote()

    def end_all(self) -> None:
        """Ends whatever is left."""
        for child in list(self._alive.values()):
            self.end(child)

    def hear(self, fd: int) -> None:
        """Handles what came from the zygote or the server."""
        if fd == self._server:
            raise Cancelled
        self._from_zygote()


def _sealed(content: bytes) -> int:
    """Memory that holds the bytes and can not be written, grown or shrunk, read from its start."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd
